"""Has `speculators prepare-data` read what cohobate wrote, and prints for each file how many rows it keeps unchanged."""
import json
import sys
import tempfile

from byte_tokens import byte_tokenizer, tiny_model
from datasets import load_from_disk
from speculators.cli.prepare_data import prepare_data

model = tiny_model(byte_tokenizer())
for path in sys.argv[1:]:
    place = tempfile.mkdtemp()
    prepare_data(model=model, data=[path], output=place, num_preprocessing_workers=1)
    prepared = load_from_disk(place).with_format(None)
    kept = sorted((row["input_ids"], row["loss_mask"]) for row in prepared)
    rows = [json.loads(line) for line in open(path, encoding="utf-8")]
    written = sorted((row["input_ids"], row["loss_mask"]) for row in rows)
    learned = sum(sum(mask) for _, mask in kept)
    print(json.dumps({"path": path, "rows": len(kept), "learned": learned, "is_equal": kept == written}), flush=True)
