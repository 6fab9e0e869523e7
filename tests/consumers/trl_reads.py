"""Has TRL's own preprocessing read what cohobate wrote, and prints for each file how many rows became examples.

Arguments: FORMAT=PATH. The tokenizer is trained on the rows themselves, the model has two tiny layers and random weights:
what is asked is only whether TRL takes every row and learns the assistant's words alone.
"""
import json
import sys
import tempfile

from tiny import first_user, last_answer, load, tokenizer_of
from transformers import LlamaConfig, LlamaForCausalLM
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer


def self_distil(rows, tokenizer, model_path, common):
    """Has both trainers that learn from a grade take a step; returns for how many rows they have one."""
    from trl.experimental.sdft import SDFTConfig, SDFTTrainer
    from trl.experimental.sdpo import SDPOConfig, SDPOTrainer

    common = {name: value for name, value in common.items() if name != "max_length"}
    common = {**common, "num_generations": 2, "max_completion_length": 4}
    kinds = [(SDFTConfig, SDFTTrainer, {}), (SDPOConfig, SDPOTrainer, {"reward_funcs": reward})]
    for config, trainer, more in kinds:
        trainer = trainer(
            model=model_path, args=config(**common), train_dataset=rows, processing_class=tokenizer, **more
        )
        trainer.train()
    return sum(bool(row["privileged_context"]) for row in trainer.train_dataset)


def reward(completions, **_):
    return [0.0] * len(completions)


def check(name, path, tokenizer, model_path):
    rows = load(path)
    common = {
        "output_dir": tempfile.mkdtemp(), "report_to": "none", "use_cpu": True, "bf16": False, "max_length": None,
        "per_device_train_batch_size": 2, "max_steps": 1, "disable_tqdm": True,
    }
    made = {"format": name, "path": path, "rows": len(rows)}
    if name in ("dpo", "kto"):
        config, trainer = (DPOConfig, DPOTrainer) if name == "dpo" else (KTOConfig, KTOTrainer)
        trainer = trainer(model=model_path, args=config(**common), train_dataset=rows, processing_class=tokenizer)
        made["examples"] = len(trainer.train_dataset)
        trainer.train()
        return made
    if name == "critique":
        made["examples"] = self_distil(rows, tokenizer, model_path, common)
        return made
    # TRL turns `from` and `value` into messages only after it has looked whether it may learn the assistant alone.
    has_roles = "conversations" not in rows.column_names
    config = SFTConfig(assistant_only_loss=has_roles, packing=False, **common)
    trainer = SFTTrainer(model=model_path, args=config, train_dataset=rows, processing_class=tokenizer)
    examples = trainer.train_dataset
    made["examples"] = len(examples)
    wrong = []
    for number, row in enumerate(rows):
        example = examples[number]
        labels = example.get("labels")
        if labels is None:
            masks = [example[m] for m in ("assistant_masks", "completion_mask") if m in example]
            labels = [t if all(m[i] for m in masks) else -100 for i, t in enumerate(example["input_ids"])]
        learned = tokenizer.decode([token for token in labels if token != -100])
        if last_answer(row) not in learned:
            wrong.append((number, "the last answer is not learned"))
        if has_roles and first_user(row) in learned and first_user(row) not in last_answer(row):
            wrong.append((number, "the user's words are learned"))
        for message in row.get("prompt") or []:
            if message["content"] in learned and message["content"] not in last_answer(row):
                wrong.append((number, "words of the prompt are learned"))
    made["wrong"] = wrong
    trainer.train()
    return made


files = [argument.split("=", 1) for argument in sys.argv[1:]]
tokenizer = tokenizer_of(row for _, path in files for row in load(path))
config = LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
    num_key_value_heads=2, max_position_embeddings=8192, pad_token_id=tokenizer.pad_token_id,
    eos_token_id=tokenizer.eos_token_id,
)
model_path = tempfile.mkdtemp()
LlamaForCausalLM(config).save_pretrained(model_path)
tokenizer.save_pretrained(model_path)
for name, path in files:
    print(json.dumps(check(name, path, tokenizer, model_path)), flush=True)
