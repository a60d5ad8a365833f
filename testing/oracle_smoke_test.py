"""Attaches a LoRA adapter to a tiny model with Python PEFT."""

import unittest

import peft
import torch
import transformers


class OracleSmokeTest(unittest.TestCase):

    def test_lora_on_a_tiny_llama(self):
        config = transformers.LlamaConfig(
            vocab_size=16, hidden_size=8, intermediate_size=16,
            num_hidden_layers=1, num_attention_heads=2)
        model = transformers.LlamaForCausalLM(config)
        model = peft.get_peft_model(
            model, peft.LoraConfig(r=2, target_modules=["q_proj"]))
        logits = model(torch.tensor([[1, 2, 3]])).logits
        self.assertEqual(tuple(logits.shape), (1, 3, 16))


if __name__ == "__main__":
    unittest.main()
