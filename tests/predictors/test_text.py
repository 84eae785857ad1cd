import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from lengthwise.errors import UserError
from lengthwise.models.prompt_text import PromptText

WORDS = [
    *("<s>", "[unk]", "system", "be", "kind", "user", "assistant"),
    *("apple", "Zebra", "what", "is", "a", "cat", "?"),
]
TEMPLATE = (
    "{{ '<s> system be kind ' }}{% for m in messages %}{{ m['role'] + ' ' + m['content'] + ' ' }}"
    "{% endfor %}{{ 'assistant' }}"
)


@pytest.fixture
def tokenizer():
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "[unk]"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[unk]", bos_token="<s>", chat_template=TEMPLATE
    )


def chat(tokenizer, *turns):
    messages = [{"role": role, "content": text} for role, text in turns]
    return tokenizer.apply_chat_template(messages, return_dict=False)


def test_the_template_is_cut_off(tokenizer):
    text = PromptText(tokenizer)
    assert text(chat(tokenizer, ("user", "what is a cat ?"))) == "what is a cat ?"


def test_several_turns_stay(tokenizer):
    ids = chat(tokenizer, ("user", "apple"), ("assistant", "Zebra"), ("user", "what ?"))
    assert PromptText(tokenizer)(ids) == "apple assistant Zebra user what ?"


def test_a_prompt_without_the_template_stays(tokenizer):
    assert PromptText(tokenizer)(tokenizer.encode("a cat is what")) == "a cat is what"


def test_a_model_without_a_chat_template_has_plain_prompts(tokenizer):
    tokenizer.chat_template = None
    assert PromptText(tokenizer)(tokenizer.encode("a cat")) == "a cat"


def test_it_is_read_from_the_models_folder(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    text = PromptText.load(str(tmp_path))
    assert text(chat(tokenizer, ("user", "a cat"))) == "a cat"


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(UserError, match="no tokenizer"):
        PromptText.load(str(tmp_path))
