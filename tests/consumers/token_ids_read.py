"""Has TRL train a step on messages with a mask, and one on the token ids of the same conversations.

Arguments: MESSAGES and IDS, alternating. Prints for each how many examples and tokens with loss there are, and the loss.
"""
import json
import sys
import tempfile

from byte_tokens import byte_tokenizer, tiny_model
from tiny import load
from trl import SFTConfig, SFTTrainer


def trained(path, tokenizer, model):
    rows = load(path)
    of_answers = "messages" in rows.column_names
    config = SFTConfig(
        output_dir=tempfile.mkdtemp(), report_to="none", use_cpu=True, bf16=False, max_length=None, max_steps=1,
        per_device_train_batch_size=len(rows), disable_tqdm=True, logging_steps=1, seed=7,
        assistant_only_loss=of_answers, packing=False,
    )
    trainer = SFTTrainer(model=model, args=config, train_dataset=rows, processing_class=tokenizer)
    examples = [(example["input_ids"], example["labels"]) for example in trainer.train_dataset]
    learned = sum(label != -100 for _, labels in examples for label in labels)
    trainer.train()
    return examples, {
        "path": path, "examples": len(examples), "learned": learned, "loss": trainer.state.log_history[0]["loss"]
    }


tokenizer = byte_tokenizer()
model = tiny_model(tokenizer)
for messages, ids in zip(sys.argv[1::2], sys.argv[2::2]):
    (one, told), (other, counted) = (trained(path, tokenizer, model) for path in (messages, ids))
    print(json.dumps({"messages": told, "ids": counted, "is_equal": one == other}), flush=True)
