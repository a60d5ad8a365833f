#!/bin/sh
# A workspace of somebody else depends on @peft//peft_c: makes one in a new
# folder, builds its program with Bazel and runs it. Builds everything anew,
# unless a disk cache has it:
#
#   ./bazelw run //tools/dist:outside_workspace [-- BAZEL_OPTIONS...]
set -eu
peft=${BUILD_WORKSPACE_DIRECTORY:?run this with bazel run}
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"

# begin: what a program's own files say
cat >WORKSPACE <<END
workspace(name = "outside")

# Or http_archive or git_repository, with the same name.
local_repository(
    name = "peft",
    path = "$peft",
)

load("@peft//third_party:repositories.bzl", "peft_repositories")

peft_repositories()

load("@peft//bindings:toolchains.bzl", "peft_binding_toolchains")

peft_binding_toolchains()
END
cat >.bazelrc <<'END'
build -c opt --cxxopt=-std=c++17 --host_cxxopt=-std=c++17
# Of Debian's Bazel 4.2.3 only.
common --override_repository=rules_java=/usr/share/bazel/rules/java
common --override_repository=platforms=/usr/share/bazel/platforms
build --nosandbox_debug
END
cat >BUILD <<'END'
cc_binary(
    name = "program",
    srcs = ["program.cc"],
    deps = ["@peft//peft_c"],
)
END
cat >program.cc <<'END'
#include <cstdio>
#include "peft_c/peft.hpp"

int main() {
  std::printf("API %d\n", static_cast<int>(peft::ApiVersion()));
  return peft::ApiVersion() == PEFT_API_VERSION ? 0 : 1;
}
END
# end

cp "$peft/.bazelversion" .
bazel="$peft/bazelw"
"$bazel" "--output_user_root=$work/output" run "$@" //:program
"$bazel" "--output_user_root=$work/output" shutdown
