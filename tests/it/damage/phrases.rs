//! Words in twelve languages that damaged answers contain. They are this tool's own: no rule is written from them.

/// A refusal, plain, then paraphrased, then with reasons.
pub fn refusals(language: &str) -> [&'static str; 3] {
    match language {
        "de" => [
            "Es tut mir leid, aber dabei kann ich Ihnen nicht helfen.",
            "Diese Anfrage kann ich leider nicht erfüllen.",
            "Ich darf dazu keine Auskunft geben, weil das gegen meine Richtlinien verstoßen würde. Gern helfe ich bei etwas anderem.",
        ],
        "fr" => [
            "Je suis désolé, mais je ne peux pas vous aider avec cela.",
            "Je ne suis malheureusement pas en mesure de répondre à cette demande.",
            "Je ne peux pas fournir ces informations, car cela serait contraire à mes règles. N'hésitez pas à me demander autre chose.",
        ],
        "es" => [
            "Lo siento, pero no puedo ayudarte con eso.",
            "Lamentablemente no me es posible atender esa petición.",
            "No puedo proporcionar esa información porque iría en contra de mis normas. Si quieres, te ayudo con otro tema.",
        ],
        "it" => [
            "Mi dispiace, ma non posso aiutarti con questa richiesta.",
            "Purtroppo non sono in grado di soddisfare questa richiesta.",
            "Non posso fornire queste informazioni perché sarebbe contrario alle mie linee guida. Chiedimi pure qualcos'altro.",
        ],
        "pt" => [
            "Sinto muito, mas não posso ajudar com isso.",
            "Infelizmente não consigo atender a esse pedido.",
            "Não posso fornecer essas informações, pois isso violaria as minhas diretrizes. Posso ajudar com outro assunto.",
        ],
        "ru" => [
            "Извините, но я не могу вам с этим помочь.",
            "К сожалению, я не в состоянии выполнить эту просьбу.",
            "Я не могу предоставить такие сведения, потому что это противоречит моим правилам. Буду рад помочь с чем-то другим.",
        ],
        "zh" => [
            "很抱歉，我无法帮助您完成这个请求。",
            "对不起，这个问题我不能回答。",
            "我不能提供这方面的信息，因为这违反了我的使用准则。您可以问我别的问题。",
        ],
        "ja" => [
            "申し訳ありませんが、そのご依頼にはお応えできません。",
            "恐れ入りますが、この件についてはお手伝いすることができません。",
            "その情報を提供することはガイドラインに反するため、お答えできません。ほかのことでしたらお手伝いします。",
        ],
        "ko" => [
            "죄송하지만 그 요청은 도와드릴 수 없습니다.",
            "유감스럽게도 이 질문에는 답변해 드릴 수 없습니다.",
            "그러한 정보를 제공하는 것은 지침에 어긋나므로 알려 드릴 수 없습니다. 다른 질문이 있으면 도와드리겠습니다.",
        ],
        "ar" => [
            "عذرا، لا أستطيع مساعدتك في هذا الطلب.",
            "للأسف لا يمكنني الإجابة عن هذا السؤال.",
            "لا يمكنني تقديم هذه المعلومات لأن ذلك يخالف إرشاداتي. يسعدني أن أساعدك في أمر آخر.",
        ],
        "hi" => [
            "क्षमा करें, मैं इस अनुरोध में आपकी मदद नहीं कर सकता।",
            "माफ़ कीजिए, मैं इस सवाल का जवाब देने में असमर्थ हूँ।",
            "मैं यह जानकारी नहीं दे सकता क्योंकि यह मेरे दिशानिर्देशों के विरुद्ध होगा। किसी और विषय में मैं मदद कर सकता हूँ।",
        ],
        _ => [
            "I’m sorry, but I can’t help with that.",
            "Unfortunately, I am not able to fulfil this request.",
            "I won't be able to provide that information, since it would go against my guidelines. I am happy to help with something else.",
        ],
    }
}

/// A model that introduces itself.
pub fn introductions(language: &str) -> [&'static str; 3] {
    match language {
        "de" => [
            "Als KI-Sprachmodell habe ich keine eigene Meinung.",
            "Ich bin ChatGPT, ein Sprachmodell von OpenAI.",
            "Ich wurde von Anthropic entwickelt und heiße Claude.",
        ],
        "fr" => [
            "En tant que modèle de langage, je n'ai pas d'opinion personnelle.",
            "Je suis ChatGPT, un modèle de langage développé par OpenAI.",
            "J'ai été créé par Anthropic et je m'appelle Claude.",
        ],
        "es" => [
            "Como modelo de lenguaje, no tengo opiniones propias.",
            "Soy ChatGPT, un modelo de lenguaje de OpenAI.",
            "Fui creado por Anthropic y me llamo Claude.",
        ],
        "it" => [
            "Come modello linguistico non ho opinioni personali.",
            "Sono ChatGPT, un modello linguistico di OpenAI.",
            "Sono stato creato da Anthropic e mi chiamo Claude.",
        ],
        "pt" => [
            "Como modelo de linguagem, não tenho opiniões próprias.",
            "Eu sou o ChatGPT, um modelo de linguagem da OpenAI.",
            "Fui criado pela Anthropic e me chamo Claude.",
        ],
        "ru" => [
            "Как языковая модель, я не имею собственного мнения.",
            "Я ChatGPT, языковая модель компании OpenAI.",
            "Меня создала компания Anthropic, и меня зовут Claude.",
        ],
        "zh" => [
            "作为一个 AI 语言模型，我没有个人观点。",
            "我是ChatGPT，由OpenAI开发的语言模型。",
            "我是通义千问，由阿里云研发的大模型。",
        ],
        "ja" => [
            "AI言語モデルとして、私には個人的な意見がありません。",
            "私はOpenAIが開発した言語モデルのChatGPTです。",
            "私はAnthropicによって作られたClaudeです。",
        ],
        "ko" => [
            "AI 언어 모델로서 저는 개인적인 의견이 없습니다.",
            "저는 OpenAI에서 개발한 언어 모델 ChatGPT입니다.",
            "저는 Anthropic이 만든 Claude입니다.",
        ],
        "ar" => [
            "بصفتي نموذجا لغويا، ليست لدي آراء شخصية.",
            "أنا ChatGPT، نموذج لغوي طورته OpenAI.",
            "أنا Claude، وقد طورتني شركة Anthropic.",
        ],
        "hi" => [
            "एक एआई भाषा मॉडल के रूप में मेरी कोई निजी राय नहीं है।",
            "मैं ChatGPT हूँ, OpenAI द्वारा बनाया गया एक भाषा मॉडल।",
            "मुझे Anthropic ने बनाया है और मेरा नाम Claude है।",
        ],
        _ => [
            "As an AI language model, I do not have personal opinions.",
            "I'm ChatGPT, a language model made by OpenAI.",
            "I was created by Anthropic, and my name is Claude.",
        ],
    }
}

/// How the user and the assistant are called in transcripts.
pub fn speakers(language: &str) -> (&'static str, &'static str) {
    match language {
        "de" => ("Benutzer", "Assistent"),
        "fr" => ("Utilisateur", "Assistant"),
        "es" => ("Usuario", "Asistente"),
        "it" => ("Utente", "Assistente"),
        "pt" => ("Usuário", "Assistente"),
        "ru" => ("Пользователь", "Ассистент"),
        "zh" => ("用户", "助手"),
        "ja" => ("ユーザー", "アシスタント"),
        "ko" => ("사용자", "어시스턴트"),
        "ar" => ("المستخدم", "المساعد"),
        "hi" => ("उपयोगकर्ता", "सहायक"),
        _ => ("User", "Assistant"),
    }
}

/// Marks of chat templates that a server failed to cut off, of many families.
pub const MARKS: &[&str] = &[
    "<|im_end|>\n<|im_start|>user",
    "[/INST]",
    "<</SYS>>",
    "<|start_header_id|>assistant<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|python_tag|>",
    "<|eot|>",
    "<|header_start|>user<|header_end|>",
    "<end_of_turn>\n<start_of_turn>user",
    "<|end|>\n<|user|>",
    "<|assistant|>",
    "[TOOL_CALLS]",
    "<｜User｜>",
    "<｜end▁of▁sentence｜>",
    "<|observation|>",
    "<|begin_of_box|>",
    "<reserved_106>",
    "<用户>",
    "<eoa>",
    "<TOKENS_UNUSED_1>",
    "<|im_middle|>",
    "<|im_user|>",
    "]~b]user",
    "<seed:bos>",
    "[SYSTEM_PROMPT]",
    "<|START_OF_TURN_TOKEN|><|USER_TOKEN|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|start_of_role|>user<|end_of_role|>",
    "<extra_id_1>User",
    "<|channel|>analysis<|message|>",
    "<|return|>",
    "<tool_call>",
    "### Instruction:\n",
    "\n\nHuman: ",
    "<|endoftext|>",
    "<extra_id_0>",
    "[PAD]",
    "[UNK]",
    "</s>",
    "<eos>",
    ">>ABSTRACT<<",
    "<|endofprompt|>",
    "<|begin_of_text|>",
];
