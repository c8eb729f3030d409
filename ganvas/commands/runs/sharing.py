"""`ganvas share`: read-only links to a run, a comparison or a figure, for people without an account."""

import click

from api.client.client import Client
from api.server.sharing.schemas import ShareMade, ShareRead, check_lifetime
from ganvas.commands.options import RunType, json_option, open_client, print_json, print_json_of, url_option

PAGE = "/runs/"


class LifetimeType(click.ParamType[int]):
    """How long a link is valid: 30m, 12h, 7d, 2w, or seconds."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return it in seconds."""
        try:
            return check_lifetime(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=RunType())
@click.option(
    "--expires", metavar="7d", type=LifetimeType(), default="7d", show_default=True,
    help="When it ends: 30m, 12h, 7d, 2w.",
)  # fmt: skip
@click.option("--figure", metavar="ADDRESS", help="Share a figure by its address: /figures/timelines.png?run=…")
@click.option("--list", "lists", is_flag=True, help="List the links that there are.")
@click.option("--revoke", metavar="ID", multiple=True, help="End a link at once, by its id (repeatable).")
@url_option
@json_option
def share_command(
    runs: tuple[str, ...],
    expires: int,
    figure: str | None,
    lists: bool,
    revoke: tuple[str, ...],
    url: str | None,
    as_json: bool,
) -> None:
    """Make a link that shows RUN, or a comparison of several RUNs, to whoever has it: this page alone, read-only.

    The link is printed this once; the service keeps only a hash of it.
    """
    if sum((bool(runs), figure is not None, lists, bool(revoke))) != 1:
        raise click.UsageError("Name runs to share, or one of --figure, --list and --revoke.")
    with open_client(url) as client:
        if lists:
            _say(client.list_shares(), "Nothing is shared: `ganvas share RUN` makes a link.", as_json=as_json)
            return
        if revoke:
            _say([client.revoke_share(share_id) for share_id in revoke], "", as_json=as_json)
            return
        made = _make(client, runs, figure, expires)
        address = client.page_url("").partition(PAGE)[0] + made.url
    if as_json:
        print_json({**made.model_dump(mode="json"), "url": address})
        return
    click.echo(address)
    names = ", ".join(run.name or run.id for run in made.runs)
    click.echo(
        f"It shows {names} until {made.expires_at:%Y-%m-%d %H:%M} UTC; "
        f"`ganvas share --revoke {made.id}` ends it at once.",
        err=True,
    )


def _make(client: Client, runs: tuple[str, ...], figure: str | None, expires: int) -> ShareMade:
    if figure is not None:
        return client.share(kind="figure", address=figure, expires_in=expires)
    return client.share(*runs, kind="run" if len(runs) == 1 else "compare", expires_in=expires)


def _say(shares: list[ShareRead], nothing: str, *, as_json: bool) -> None:
    """Print links, one a line."""
    if as_json:
        print_json_of(shares, is_list=True)
        return
    if not shares:
        click.echo(nothing)
    for share in shares:
        names = ", ".join(run.name or f"{run.id} (deleted)" for run in share.runs)
        ends = f"{share.revoked_at or share.expires_at:%Y-%m-%d %H:%M} UTC"
        click.echo(f"{share.id}  {share.state:<7}  {share.kind:<7}  until {ends}  {names}")
