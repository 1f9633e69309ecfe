"""`infra/local-stack` as a module and as a command."""

import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "infra" / "local-stack"


def script_module():
    """The script, imported; it has no .py, being a command."""
    name = "local_stack_script"
    spec = spec_from_loader(name, SourceFileLoader(name, str(SCRIPT)))
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
        del sys.modules[name]
    return module


def run_script(folder, *arguments, check=True, **options):
    """Runs the command on a folder; gives the ended process with what it said."""
    command = [sys.executable, str(SCRIPT), "--folder", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert not check or done.returncode == 0, done.stderr[-3000:]
    return done
