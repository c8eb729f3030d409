"""`ganvas workers`: who is there, and what they are doing."""

import click

from api.schemas import GpuState, WorkerRead
from ganvas.commands.options import json_option, open_client, print_json, url_option
from ganvas.progress import human_age

GIB = 1_073_741_824


@click.command()
@url_option
@json_option
def command(url: str | None, as_json: bool) -> None:
    """List the workers that were heard of in the last day."""
    with open_client(url) as client:
        workers = client.list_workers()
    if as_json:
        print_json({"items": [worker.model_dump(mode="json") for worker in workers], "next": None})
        return
    if not workers:
        click.echo("No worker was heard of in the last day. Start one: ganvas worker")
    for worker in workers:
        click.echo(render_worker(worker))


def render_worker(worker: WorkerRead) -> str:
    """Return one worker's lines."""
    if not worker.is_alive:
        state = f"not heard of for {human_age(worker.seen_at)}"
    elif worker.job_id:
        state = f"runs {worker.job_id}, attempt {worker.attempt}"
    else:
        state = "idle"
    lines = [f"{worker.name}  {state}  {worker.device}"]
    return "\n".join(lines + [f"    {render_gpu(gpu)}" for gpu in worker.gpus])


def render_gpu(gpu: GpuState) -> str:
    """Return one card's line."""
    load = "" if gpu.utilisation is None else f"  {gpu.utilisation:.0%} busy"
    return f"GPU {gpu.index}  {gpu.name}  {gpu.memory_used / GIB:.1f} of {gpu.memory_total / GIB:.1f} GiB{load}"
