#!/bin/sh
# Dependencies point one way: from each folder only to folders of lower layers,
# and nothing that a program embeds reaches libtorch or test code.
#
#   layering_test.sh GRAPH
#
# GRAPH is Bazel's graph of dependencies, lines of `"//a:b" -> "//c:d"`.
set -eu
graph=$1

awk -F'"' '
  # The layer of a label, by the longest folder named here that holds it.
  function layer(label, folder) {
    folder = label
    sub(/:.*/, "", folder)
    sub(/^\/\//, "", folder)
    while (!(folder in layers)) {
      if (!sub(/\/[^\/]*$/, "", folder)) return ""
    }
    found_folder = folder
    return layers[folder]
  }

  function fail(message) {
    print "FAILED: " message
    failed = 1
  }

  BEGIN {
    layers["peft_cc/base"] = 1
    layers["kernels"] = 2
    layers["hub"] = 3
    layers["peft_cc/config"] = 3
    layers["peft_cc/tensors"] = 3
    layers["peft_cc/algebra"] = 4
    layers["peft_cc/methods"] = 5
    layers["peft_cc/adapters"] = 6
    layers["peft_cc/models"] = 7
    layers["peft_cc/cuda"] = 8
    layers["peft_c"] = 9
    layers["tools"] = 10
    layers["examples"] = 10
  }

  $3 == " -> " {
    from = $2
    to = $4
    if (from !~ /^\/\//) next  # What others depend on is their own affair.
    ++edges
    # What a select() asks for, and what a target is incompatible by.
    if (to == "//testing:cuda" || $0 ~ /:needs_config_cuda"/) next
    if (to ~ /^@libtorch|^@python_oracle|^\/\/testing[:\/]/) {
      fail(from " depends on " to ", which no program may embed")
    }
    if (to !~ /^\/\//) next
    from_layer = layer(from); from_folder = found_folder
    to_layer = layer(to); to_folder = found_folder
    if (from_layer == "") fail(from ": give its folder a layer in this test")
    else if (to_layer == "") fail(to ": give its folder a layer in this test")
    else if (from_folder != to_folder && from_layer <= to_layer) {
      fail(from " depends on " to ", which is not of a lower layer")
    }
  }

  END {
    # A graph in another format must not pass as one without violations.
    if (edges < 100) fail("only " edges + 0 " dependencies were read")
    exit failed
  }
' "$graph"
