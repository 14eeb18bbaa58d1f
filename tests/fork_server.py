"""Real processes that start in a moment: forked where the libraries are.

A Python starts, imports what we build on (but not banet) and waits. For each
script it forks a process, which runs the script as `python script` would, with
the arguments, folder and environment of the one who asks.
"""

import atexit
import gc
import json
import os
import runpy
import subprocess
import sys
import tempfile
import traceback
from functools import cache
from pathlib import Path

from once import leave_configs_unformatted, read_metafiles


def serve():
    """Answer requests, a json line each, until there is nobody to ask."""
    answers = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)  # what libraries print is no answer
    import matplotlib.pyplot  # noqa: F401
    import mmcv.ops  # noqa: F401
    import mmdet.models  # noqa: F401
    import mmengine.runner  # noqa: F401
    import mmpretrain.models  # noqa: F401
    import mmseg.models  # noqa: F401

    read_metafiles()
    assert 'banet' not in sys.modules
    gc.freeze()  # as conftest.py does
    print('ready', file=answers, flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            answers.close()
            become(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=answers, flush=True)


def become(script, args, cwd, env, out, err):
    """Be the process of that script, and end as it does."""
    for stream, path in ((0, os.devnull), (1, out), (2, err)):
        flags = os.O_RDONLY if stream == 0 else os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(path, flags), stream)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = [script, *args]
    if Path(script).name in ('train.py', 'test.py'):
        leave_configs_unformatted()
    extra = env.get('PYTHONPATH', '').split(os.pathsep)
    sys.path[:1] = [str(Path(script).parent.resolve()), *filter(None, extra)]
    try:
        runpy.run_path(script, run_name='__main__')
        code = 0
    except SystemExit as end:
        code = end.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(code or 0))


@cache
def server():
    process = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == 'ready\n'
    return process


def run_script(script, *args, cwd, **variables):
    """As subprocess.run([python, script, *args]) with captured texts.

    ``variables`` come to this environment's.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, 'out'), Path(folder, 'err')
        request = dict(
            script=str(script),
            args=[str(argument) for argument in args],
            cwd=str(cwd),
            env={**os.environ, **variables},
            out=str(out),
            err=str(err),
        )
        process = server()
        print(json.dumps(request), file=process.stdin, flush=True)
        code = int(process.stdout.readline())
        return subprocess.CompletedProcess(
            request['args'], code, out.read_text(), err.read_text()
        )


if __name__ == '__main__':
    serve()
