"""What the Hub and its CDN answer when they behave."""

import hashlib
import time
import urllib.parse

from testing.fake_hub import content
from testing.fake_hub.messages import (Answer, as_json, error, ranged,
                                       redirect)

_API_VERBS = {"revision", "tree", "refs", "paths-info", "auth-check"}
_TEXT = (".json", ".md", ".txt")


class Hub:
    """The state of the Hub, and its answers. `urls` are those of the origins.

    `tokens`: the valid ones. `page_size`: entries in one answer of a listing.
    `resolve_cache`: small files answer by a relative redirect, as the real Hub
    does since 2025. `remaining`: requests until 429 is answered (None: any
    number), for `limit_s` seconds from the first refused one.
    """

    def __init__(self, urls=None):
        self.urls = urls or {}
        self.repositories = {}
        self.renames = {}
        self.tokens = set()
        self.page_size = 1000
        self.resolve_cache = False
        self.remaining = None
        self.limit_s = 1
        self._limited_until = None
        self._objects = {}

    def add(self, repository):
        self.repositories[repository.type, repository.id] = repository
        return repository

    def rename(self, old, new, repo_type="model"):
        """`old` leads to `new` from now on."""
        repository = self.repositories.pop((repo_type, old))
        repository.id = new
        self.renames[repo_type, old] = new
        self.add(repository)

    def answer(self, request):
        """The answer of the origin that was asked."""
        if request.origin == "cdn":
            return self._cdn(request)
        limited = self._limit()
        if limited:
            return limited
        parts = request.segments()
        if parts[:2] == ["api", "resolve-cache"]:
            return self._resolve_cache(request, parts[2:])
        if parts[0] == "api":
            return self._api(request, parts[1:])
        return self._resolve(request, parts)

    # -- who may see what

    def _limit(self):
        if self.remaining is None:
            return None
        if self._limited_until and time.monotonic() >= self._limited_until:
            self.remaining, self._limited_until = None, None
            return None
        if self.remaining > 0:
            self.remaining -= 1
            return None
        if not self._limited_until:
            self._limited_until = time.monotonic() + self.limit_s
        return error(429, None, "We had to rate limit you", [
            ("RateLimit", f'"resolvers";r=0;t={self.limit_s}'),
            ("RateLimit-Policy", '"fixed window";"resolvers";q=3;w=300'),
            ("Retry-After", self.limit_s)])

    def _find(self, request, repo_type, repo_id, rest):
        """(repository, None) or (None, the answer instead of one).

        `rest`: of the path after the repository's name, still encoded.
        """
        token = request.token()
        if "authorization" in request.headers and token not in self.tokens:
            return None, error(401, None,
                               "Invalid credentials in Authorization header")
        moved = self._moved(repo_type, repo_id)
        if moved:
            prefix = (f"/api/{repo_type}s/" if request.path.startswith("/api/")
                      else "/" + content.TYPES[repo_type])
            query = "?" + request.query if request.query else ""
            return None, redirect(307, prefix + moved + rest + query)
        repository = self.repositories.get((repo_type, repo_id))
        hidden = (repository is not None and repository.readers is not None
                  and token not in repository.readers)
        if repository is None or hidden:
            if token is None:
                return None, error(401, None, "Invalid username or password.", [
                    ("WWW-Authenticate", 'Bearer realm="Authentication '
                     'required", charset="UTF-8"')])
            return None, error(404, "RepoNotFound", "Repository not found")
        if repository.disabled:
            return None, error(403, None,
                               "Access to this resource is disabled.")
        return repository, None

    def _moved(self, repo_type, repo_id):
        """The name that `repo_id` leads to, when it is another."""
        if (repo_type, repo_id) in self.renames:
            return self.renames[repo_type, repo_id]
        if (repo_type, repo_id) in self.repositories:
            return None
        for kind, name in self.repositories:
            if kind == repo_type and name.lower() == repo_id.lower():
                return name
        return None

    def _gate(self, request, repository):
        """The refusal of a gated repository's files, or None."""
        token = request.token()
        if repository.accepted is None or token in repository.accepted:
            return None
        what = f"Access to {repository.type} {repository.id} is restricted"
        if token is None:
            return error(401, "GatedRepo", what + ". You must be authenticated "
                         "to access it. Please log in.")
        return error(403, "GatedRepo", what + " and you are not in the "
                     "authorized list.")

    # -- files

    def _resolve(self, request, parts):
        repo_type = "model"
        for kind, prefix in content.TYPES.items():
            if prefix and parts[0] == prefix[:-1]:
                repo_type, parts = kind, parts[1:]
        if "resolve" not in parts[1:3] or request.method not in ("GET", "HEAD"):
            return error(404, None, "Sorry, we can't find the page")
        where = parts.index("resolve", 1)
        encoded = request.path.split("/resolve/", 1)[-1]
        repository, refusal = self._find(
            request, repo_type, "/".join(parts[:where]), "/resolve/" + encoded)
        if refusal:
            return refusal
        return self._file(request, repository, parts[where + 1],
                          "/".join(parts[where + 2:]))

    def _file(self, request, repository, revision, path):
        refusal = self._gate(request, repository)
        commit = repository.resolve(revision)
        if refusal or commit is None:
            return refusal or _no_revision(revision)
        file = repository.commits[commit].get(path)
        named = [("X-Repo-Commit", commit)]
        if file is None:
            return error(404, "EntryNotFound", "Entry not found", named)
        linked = named + [("X-Linked-Size", str(len(file.data))),
                          ("X-Linked-ETag", f'"{file.etag}"'),
                          ("Accept-Ranges", "bytes")]
        if file.xet_hash:
            route = (f"{self.urls['hub']}/api/{repository.type}s/"
                     f"{repository.id}/xet-read-token/{commit}")
            linked += [("X-Xet-Hash", file.xet_hash),
                       ("Link", f'<{route}>; rel="xet-auth"')]
        if file.lfs:
            return redirect(302, self._sign(file, path), linked)
        if self.resolve_cache:
            location = (f"/api/resolve-cache/{repository.type}s/"
                        f"{repository.id}/{commit}/"
                        + urllib.parse.quote(path)
                        + f"?etag=%22{file.etag}%22")
            return redirect(307, location, linked)
        return self._small(request, file, path, named)

    def _resolve_cache(self, request, parts):
        repository, refusal = self._find(
            request, parts[0][:-1], "/".join(parts[1:3]), "")
        refusal = refusal or self._gate(request, repository)
        if refusal:
            return refusal
        path = "/".join(parts[4:])
        return self._small(request, repository.commits[parts[3]][path], path,
                           [("X-Repo-Commit", parts[3])])

    @staticmethod
    def _small(request, file, path, named):
        """A file that the Hub sends itself."""
        answer = Answer(200, file.data, named + [
            ("ETag", f'"{file.oid}"'), ("Accept-Ranges", "bytes"),
            ("Content-Type", "text/plain; charset=utf-8")],
            compressible=path.endswith(_TEXT))
        if answer.compressible and request.accepts_gzip():
            return answer
        return ranged(request, answer)

    def _sign(self, file, path):
        """The CDN's URL of a file, valid as it is written only."""
        self._objects[file.sha256] = file.data
        name = urllib.parse.quote(path.split("/")[-1], safe="")
        query = ("response-content-disposition=inline%3B+filename*%3DUTF-8%27"
                 f"%27{name}%3B&X-Expires=3600")
        return (f"{self.urls['cdn']}/repos/{file.sha256[:2]}/{file.sha256}"
                f"?{query}&X-Signature={_signature(file.sha256, query)}")

    def _cdn(self, request):
        sha256 = request.path.split("/")[-1]
        query, _, signature = request.query.rpartition("&X-Signature=")
        if signature != _signature(sha256, query):
            return Answer(403, b"<Error>SignatureDoesNotMatch</Error>",
                          [("Content-Type", "application/xml")])
        if "authorization" in request.headers:
            return Answer(400, b"<Error>Only one auth mechanism allowed"
                          b"</Error>", [("Content-Type", "application/xml")])
        return ranged(request, Answer(200, self._objects[sha256], [
            ("ETag", f'"{sha256[:32]}"'), ("Accept-Ranges", "bytes"),
            ("Content-Type", "application/octet-stream")]))

    # -- the API

    def _api(self, request, parts):
        kinds = {kind + "s": kind for kind in content.TYPES}
        if len(parts) < 2 or parts[0] not in kinds:
            return error(404, None, "Sorry, we can't find the page")
        length = 1 if len(parts) > 2 and parts[2] in _API_VERBS else 2
        repo_id = "/".join(parts[1:1 + length])
        encoded = request.path.split("/")[3 + length:]
        rest = "".join("/" + part for part in encoded)
        repository, refusal = self._find(request, kinds[parts[0]], repo_id,
                                         rest)
        if refusal:
            return refusal
        verb, *arguments = parts[1 + length:] or ["revision"]
        if verb == "refs":
            return as_json(repository.refs(
                request.parameter("include_prs") == "1"))
        if verb == "auth-check":
            return self._gate(request, repository) or Answer(200, b"OK")
        revision = arguments[0] if arguments else "main"
        commit = repository.resolve(revision)
        if commit is None:
            return _no_revision(revision)
        if verb == "revision":
            return as_json(_info(repository, commit))
        if verb == "tree":
            return self._tree(request, repository, commit, arguments[1:])
        if verb == "paths-info":
            return _paths_info(request, repository, commit)
        return error(404, None, "Sorry, we can't find the page")

    def _tree(self, request, repository, commit, under):
        entries = repository.listing(commit, "/".join(under),
                                     request.parameter("recursive") == "true")
        named = [("X-Repo-Commit", commit)]
        if under and not entries:
            return error(404, "EntryNotFound", "Entry not found", named)
        begin = int(request.parameter("cursor", "0"))
        end = begin + self.page_size
        if end < len(entries):
            base = urllib.parse.parse_qsl(request.query)
            query = urllib.parse.urlencode(
                [pair for pair in base if pair[0] != "cursor"]
                + [("cursor", end)])
            named.append(("Link", f'<{self.urls["hub"]}{request.path}?{query}>'
                          '; rel="next"'))
        return as_json(entries[begin:end], named)


def _no_revision(revision):
    return error(404, "RevisionNotFound", f"Invalid rev id: {revision}")


def _signature(sha256, query):
    return hashlib.sha256(f"{sha256} {query}".encode()).hexdigest()[:16]


def _info(repository, commit):
    return {"_id": commit[:24], "id": repository.id, "modelId": repository.id,
            "sha": commit, "private": repository.readers is not None,
            "gated": "manual" if repository.accepted is not None else False,
            "disabled": repository.disabled, "tags": [], "downloads": 0,
            "siblings": [{"rfilename": path}
                         for path in sorted(repository.commits[commit])]}


def _paths_info(request, repository, commit):
    form = urllib.parse.parse_qs(request.body.decode())
    everything = {entry["path"]: entry
                  for entry in repository.listing(commit, "", True)}
    return as_json([everything[path] for path in form.get("paths", [])
                    if path in everything])
