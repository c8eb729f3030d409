"""`ganvas mcp`: serves runs to an agent that starts it, over standard input and output."""

import click

from ganvas.address import default_home, read_service_url
from ganvas.commands.options import need_mcp_extra, url_option


@click.command()
@click.option(
    "--allow-submit",
    is_flag=True,
    help="Let the agent submit and cancel runs, too, as far as the token's scope allows; else it only reads.",
)
@url_option
def mcp_command(allow_submit: bool, url: str | None) -> None:
    """Serve runs to an agent over the Model Context Protocol, on standard input and output.

    The agent's program starts it: {"command": "ganvas", "args": ["mcp"]}. It sees what GANVAS_TOKEN may see.
    """
    need_mcp_extra()
    from api.client.client import AsyncClient
    from ganvas.commands.agents.server import build_server

    client = AsyncClient(url or read_service_url(default_home()))
    build_server(client, allow_submit=allow_submit).run("stdio")
