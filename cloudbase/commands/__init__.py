"""The commands of `cloudbase`, one module each; cloudbase.cli imports them only when they are called."""
