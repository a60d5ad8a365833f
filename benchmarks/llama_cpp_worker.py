"""llama.cpp in a process of its own, told by lines of JSON what to do.

Run by llama_cpp_peer.py, with the Python that has llama_cpp and gguf. Each line
of standard input is {"do": VERB, ...}, each line of the answer {} or, of
"logits", {"logits": [...]}.
"""

import ctypes
import json
import pathlib
import sys

import llama_cpp
import numpy as np

import gguf_files


@llama_cpp.llama_log_callback
def _no_log(level, text, user_data):
    pass


class Worker:

    def __init__(self, folder, threads):
        self.folder, self.threads = pathlib.Path(folder), threads
        self.model = self.context = None
        self.adapters = {}
        llama_cpp.llama_log_set(_no_log, None)
        llama_cpp.llama_backend_init()

    def convert(self, adapters):
        """Not a part of what is measured: llama.cpp's users do it once."""
        gguf_files.write_base(self.folder / "base", self.folder / "base.gguf")
        for name in adapters:
            gguf_files.write_adapter(self.folder / "base", self.folder / name,
                                     self.folder / f"{name}.gguf")

    def load_base(self):
        if self.model is not None:
            llama_cpp.llama_free(self.context)
            llama_cpp.llama_model_free(self.model)
            self.adapters = {}
        self.model = llama_cpp.llama_model_load_from_file(
            str(self.folder / "base.gguf").encode(),
            llama_cpp.llama_model_default_params())
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = 2048
        params.n_batch = 2048
        params.n_threads = params.n_threads_batch = self.threads
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        if not self.context:
            raise RuntimeError("llama.cpp cannot open the model")

    def load_adapter(self, name):
        if name not in self.adapters:
            self.adapters[name] = llama_cpp.llama_adapter_lora_init(
                self.model, str(self.folder / f"{name}.gguf").encode())
            if not self.adapters[name]:
                raise RuntimeError("llama.cpp cannot open the adapter")
        self.switch(name)

    def switch(self, name):
        names = [name] if name else []
        adapters = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(
            *(self.adapters[n] for n in names))
        scales = (ctypes.c_float * 1)(1.0)
        llama_cpp.llama_set_adapters_lora(self.context, adapters, len(names),
                                          scales)

    def _run(self, ids):
        tokens = (llama_cpp.llama_token * len(ids))(*ids)
        batch = llama_cpp.llama_batch_get_one(tokens, len(ids))
        if llama_cpp.llama_decode(self.context, batch) != 0:
            raise RuntimeError("llama_decode failed")

    def prefill(self, ids):
        llama_cpp.llama_memory_clear(
            llama_cpp.llama_get_memory(self.context), True)
        self._run(ids)

    def decode(self, token):
        self._run([token])

    def logits(self, count):
        pointer = llama_cpp.llama_get_logits_ith(self.context, -1)
        return np.ctypeslib.as_array(pointer, (count,)).tolist()


def main():
    worker = Worker(sys.argv[1], int(sys.argv[2]))
    for line in sys.stdin:
        arguments = json.loads(line)
        result = getattr(worker, arguments.pop("do"))(**arguments)
        print(json.dumps({} if result is None else {"logits": result}),
              flush=True)


if __name__ == "__main__":
    main()
