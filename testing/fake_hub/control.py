"""The fake Hub's control URLs, for programs that are not Python.

    POST /__control__/faults     a JSON list of faults.Fault's arguments
    GET  /__control__/requests   what was asked so far
    POST /__control__/forget     no request was seen, no fault is to come
"""

import json

from testing.fake_hub.messages import as_json, error

PREFIX = "/__control__/"


def answer(hub, request):
    """What `hub` says to a request for a control URL."""
    what = request.method, request.path[len(PREFIX):]
    if what == ("POST", "faults"):
        try:
            for arguments in json.loads(request.body):
                hub.misbehave(**arguments)
        except (TypeError, ValueError) as problem:
            return error(400, None, str(problem))
        return as_json({})
    if what == ("GET", "requests"):
        return as_json([seen.record() for seen in hub.seen()])
    if what == ("POST", "forget"):
        hub.forget()
        return as_json({})
    return error(404, None, "no such control URL")
