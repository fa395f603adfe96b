"""`cloudbase dev`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("dev")
@click.option("--listen", metavar="HOST:PORT", help="Functions' traffic; port 0 takes a free one.  [default: 127.0.0.1:8080]")
@click.option("--admin", metavar="HOST:PORT", help="Health, metrics and management API.  [default: 127.0.0.1:8081]")
@click.option("--data", "--data-dir", metavar="DIR", help="Everything that is kept.  [default: .cloudbase]")
@click.option("--config", metavar="FILE", type=click.Path(path_type=Path), help="Settings file.  [default: DIR/settings.toml]")
@click.option("--sample", is_flag=True, help="Deploy the sample function `hello`.")
@click.option("--watch", metavar="DIR", type=click.Path(path_type=Path), multiple=True, help="Deploy DIR on every save.")
@click.option("--log-format", type=click.Choice(["auto", "human", "json"]), help="auto: human in a terminal, JSON elsewhere.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="[default: info]")
@click.option("--stop-grace", metavar="SECONDS", help="For what is in flight when it stops.  [default: 10]")
def command(config: Path | None, sample: bool, watch: tuple[Path, ...], **flags: str | None) -> None:
    """Run the whole platform here, in the foreground.

    Router, autoscaler and controller in one process, functions as its children. Ctrl-C ends it with all of them, a second Ctrl-C
    at once. Started again, it finds every function. Settings are also variables (CLOUDBASE_LISTEN) and keys of the settings file.
    """
    from cloudbase import local, logformat, settings  # imports everything, which `--help` does not need

    read = settings.read(flags, file=config)
    logformat.start(read.log_format, read.log_level)
    raise SystemExit(local.run(read, sample, watch))
