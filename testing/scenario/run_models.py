"""Verbs of models and sessions, through ctypes."""

import ctypes as C

from testing import peft_ctypes
from testing import peft_structs as structs
from testing.scenario import run_values as values

OUTPUTS = ["logits", "last_hidden_state", "pooler_output"]  # 1, 2, 4
TOKEN_FN = C.CFUNCTYPE(C.c_int32, C.c_void_p, C.c_int64, C.c_int64)
FINISH = {1: "length", 2: "eos", 3: "stop"}


class ModelVerbs:
    """One method per verb: takes the step, returns what `expect` has."""

    def open_model(self, step):
        options = structs.ModelOptions(read_mode=1, num_threads=1)
        model = self.library.new("peft_model_open", self.path(step["path"]),
                                 C.byref(options))
        self.take_model(model)
        self.create_session({})
        return self.model_info(step)

    def take_model(self, model):
        self.close()
        self.model, self.session, self.runner = model, None, None

    def model_info(self, step):
        return self.facts(step, "peft_model_get_info", structs.ModelInfo(),
                          self.model)

    def create_session(self, step):
        options = structs.SessionOptions(max_length=step.get("max_length", 0))
        session = self.library.new("peft_session_create", self.model,
                                   C.byref(options))
        self.lib.peft_session_free(self.session)
        self.session = session

    def reset_session(self, step):
        self.library.call("peft_session_reset", self.session)

    def cache_length(self, step):
        return {"length": self.lib.peft_session_cache_length(self.session)}

    def input(self, step):
        flat = [token for row in step["ids"] for token in row]
        struct = structs.ForwardInput(batch=len(step["ids"]),
                                      length=len(step["ids"][0]))
        struct.keep = [values.integers(flat)]  # lives as long as the struct
        struct.ids = C.addressof(struct.keep[0])
        if "attention_mask" in step:
            struct.keep.append(values.integers(
                [bit for row in step["attention_mask"] for bit in row]))
            struct.attention_mask = C.addressof(struct.keep[1])
        return struct

    def rows(self, step, options):
        if "adapter_names" in step:
            names = step["adapter_names"]
            options.adapter_names = values.texts(names)
            options.num_adapter_names = len(names)
        if "activations" in step:
            names = step["activations"]
            options.activations = (C.c_void_p * len(names))(
                *[self.activations[n].value if n else None for n in names])
            options.num_activations = len(names)
        return options

    def forward(self, step):
        if not step.get("keep_cache"):
            self.reset_session(step)
        options = self.rows(step, structs.ForwardOptions(
            logits_to_keep=step.get("logits_to_keep", 0)))
        struct, view = self.input(step), structs.TensorView()
        if "outputs" in step:
            options.outputs = sum(1 << OUTPUTS.index(output)
                                  for output in step["outputs"])
            self.library.call("peft_session_forward", self.session,
                              C.byref(struct), C.byref(options), None)
            return {}
        self.library.call("peft_session_forward", self.session,
                          C.byref(struct), C.byref(options), C.byref(view))
        logits = peft_ctypes.view_to_numpy(view)
        if "save_as" in step:
            self.saved[step["save_as"]] = logits
        if "equal_to" in step:
            saved = self.saved[step["equal_to"]]
            assert logits.tobytes() == saved.tobytes(), "not equal bit by bit"
        return {"shape": list(logits.shape), "logits": logits}

    def get_output(self, step):
        view = structs.TensorView()
        self.library.call("peft_session_get_output", self.session,
                          1 << OUTPUTS.index(step["output"]), C.byref(view))
        output = peft_ctypes.view_to_numpy(view)
        return values.numbers(output)

    def generate_options(self, step):
        options = structs.GenerateOptions()
        self.lib.peft_generate_options_init(C.byref(options),
                                            C.c_size_t(C.sizeof(options)))
        options.max_new_tokens = step["max_new_tokens"]
        options.ignore_eos = step.get("ignore_eos", 0)
        ends = values.integers(step.get("eos_token_ids", []))
        options.eos_token_ids = C.addressof(ends)
        options.num_eos_token_ids = len(ends)
        stops = step.get("stop_sequences", [])
        tokens = values.integers([token for stop in stops for token in stop])
        lengths = (C.c_size_t * len(stops))(*map(len, stops))
        options.stop_tokens = C.addressof(tokens)
        options.stop_sequence_lengths = C.addressof(lengths)
        options.num_stop_sequences = len(stops)
        options.keep = [ends, tokens, lengths]  # live as long as the struct
        return self.rows(step, options)

    def generate(self, step):
        streamed = [[] for _ in step["ids"]]

        def on_token(_, row, token):
            streamed[row].append(token)
            return int(sum(map(len, streamed)) == step.get("cancel_after"))

        callback = TOKEN_FN(on_token)
        options = self.generate_options(step)
        if step.get("stream") or "cancel_after" in step:
            options.on_token = C.cast(callback, C.c_void_p).value
        struct = self.input(step)
        result = self.library.new("peft_session_generate", self.session,
                                  C.byref(struct), C.byref(options))
        found = self.generated(result)
        if step.get("stream"):
            assert streamed == found["tokens"], f"streamed {streamed}"
        return found

    def generated(self, result):
        rows, finish = [], []
        for row in range(self.lib.peft_generate_result_num_rows(result)):
            count = C.c_size_t()
            tokens = self.lib.peft_generate_result_tokens(
                result, C.c_size_t(row), C.byref(count))
            rows.append(tokens[:count.value])
            finish.append(FINISH[self.lib.peft_generate_result_finish_reason(
                result, C.c_size_t(row))])
        self.lib.peft_generate_result_free(result)
        return {"tokens": rows, "finish": finish}
