"""Has axolotl's own chat_template strategy tokenise what cohobate wrote, and prints for each file how many rows have
something to learn, and where it is not what the row says. Arguments: PATH...
"""
import json
import sys

from tiny import load, tokenizer_of

from axolotl.prompt_strategies.chat_template import ChatTemplatePrompter, ChatTemplateStrategy

for path in sys.argv[1:]:
    rows = load(path)
    tokenizer = tokenizer_of(rows)
    prompter = ChatTemplatePrompter(
        tokenizer, tokenizer.chat_template, max_length=8192, message_field_training="train", field_messages="messages"
    )
    strategy = ChatTemplateStrategy(prompter, tokenizer, False, 8192, roles_to_train=[], train_on_eos="turn")
    wasted, wrong = 0, []
    for number, row in enumerate(rows):
        example = strategy.tokenize_prompt(row)
        learned = tokenizer.decode([token for token in example["labels"] if token != -100])
        wasted += not learned
        for message in row["messages"]:
            if message.get("train") and message["content"] not in learned:
                wrong.append((number, "an answer is not learned"))
            if not message.get("train") and message["content"] and message["content"] in learned:
                wrong.append((number, f"words of the {message['role']} are learned"))
    print(json.dumps({"path": path, "rows": len(rows), "wasted": wasted, "wrong": wrong}))
