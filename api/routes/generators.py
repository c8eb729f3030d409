"""Generators to share: the weights alone, out of a checkpoint."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse

from api import queries
from api.deps import ServicesDep
from api.errors import ArtifactNotFound, JobNotFound
from api.generator_file import NoGenerator, cut_generator, find_prefix
from api.responses import documented
from api.routes.artifacts import FileStream
from api.security import needs

router = APIRouter(tags=["jobs"], dependencies=needs("read"))
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@router.get(
    "/jobs/{job_id}/checkpoints/{iteration}/generator",
    response_class=Response,
    responses={
        200: {"description": "A safetensors file.", "content": _BINARY},
        **documented(JobNotFound, ArtifactNotFound),
    },
)
def get_generator(
    job_id: str, iteration: Annotated[int, Path(ge=0, le=1_000_000_000)], services: ServicesDep
) -> StreamingResponse:
    """Send the generator's weights alone, as safetensors, from the checkpoint of this iteration.

    They are those that draw the run's grids: a moving average where the run keeps one. The file's metadata,
    `ganvas`, names the job, the iteration and the spec's name.
    """
    with services.database.read() as session:
        job = queries.get_job(session, job_id)
        kept = {item.iteration: item for item in queries.list_checkpoints(session, job_id) if item.url}
        spec, name = job.spec, job.name
    if iteration not in kept:
        raise ArtifactNotFound("This job has no checkpoint of that iteration whose file was kept.")
    facts = {"job": job_id, "name": name, "iteration": str(iteration), "checkpoint": kept[iteration].sha256}
    try:
        file = services.blobs.open(kept[iteration].sha256)
    except FileNotFoundError:
        raise ArtifactNotFound(sha256=kept[iteration].sha256) from None
    try:
        generator = cut_generator(file, find_prefix(spec), facts)
    except NoGenerator:
        file.close()
        raise ArtifactNotFound("The checkpoint of that iteration holds no generator that can be read.") from None
    headers = {
        "content-disposition": f'attachment; filename="generator-{job_id}-{iteration}.safetensors"',
        "content-length": str(generator.size),
    }
    return FileStream(file, headers, "application/octet-stream", generator.read(file))
