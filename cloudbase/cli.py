"""The `cloudbase` command: a group whose commands are imported when they are called, so that `--help` stays quick."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import Any, ClassVar

import click

from cloudbase.entry import INTERRUPTED

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    # name -> (module in cloudbase.commands, one line for `--help`); a test holds the lines equal to the commands' own
    commands_known: ClassVar[dict[str, tuple[str, str]]] = {
        "dev": ("dev", "Run the whole platform here, in the foreground."),
        "init": ("init", "Write a new function's folder."),
        "deploy": ("deploy", "Build and run the function in a folder."),
        "build": ("build", "Build the function in a folder, and let it wait."),
        "update": ("update", "Change settings of a function that is there."),
        "redeploy": ("redeploy", "Start a function anew, as a new revision of what was built."),
        "rollback": ("rollback", "Give all traffic to an older revision."),
        "revisions": ("revisions", "Show the revisions that are kept of a function, the newest first."),
        "list": ("list", "Show the functions and their replicas."),
        "describe": ("describe", "Show one function: its settings, state and address."),
        "events": ("events", "Show what became of a function: its builds, and its conditions as they changed."),
        "invoke": ("invoke", "Call a function through the router."),
        "logs": ("logs", "Print what a function wrote."),
        "delete": ("delete", "Delete a function."),
        "router": ("router", "Run the router in front of a Kubernetes cluster, in the foreground."),
        "adopt": ("adopt", "Put a Deployment of a cluster, with its Service, behind the router."),
        "version": ("version", "Print the version of this program."),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands_known)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.commands_known:
            return None
        command = import_module(f"cloudbase.commands.{self.commands_known[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if near := get_close_matches(args[0], self.commands_known, n=1):
                raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", error.ctx) from error
            raise

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (KeyboardInterrupt, click.Abort):  # the usual end of `logs -f`, so without a word; Abort: at a question
            ctx.exit(INTERRUPTED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.commands_known.items()])


@click.group(cls=LazyGroup, context_settings=CONTEXT)
@click.version_option(package_name="cloudbase-serverless", prog_name="cloudbase", message="%(prog)s %(version)s")
def main() -> None:
    """A serverless platform: write a handler, deploy the folder, call it at /fn/<name>.

    Start with `cloudbase dev` in one terminal, and `cloudbase init --runtime node hello && cloudbase deploy hello` in another.
    """


if __name__ == "__main__":
    main()
