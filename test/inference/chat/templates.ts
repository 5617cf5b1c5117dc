/**
 * Chat templates with the marks of the model families, and as little else as goes: written for these tests. Beside each,
 * how a model of the family writes two calls.
 */

/** One family. */
export interface Family {
  /** Its template. */
  template: string;
  /** Control tokens of its vocabulary. */
  control: string[];
  /** An answer with text, then calls of `weather` for Oslo and Rome. */
  answer: string;
  /** The text before the calls. */
  text?: string;
  /** The thoughts before the text. */
  reasoning?: string;
}

const CHATML = ["<|im_start|>", "<|im_end|>"];
const TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n" +
  "{% if m.tool_calls %}{% for c in m.tool_calls %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}{% endif %}" +
  "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
const TOOLS =
  "{% if tools %}<|im_start|>system\n{% for t in tools %}{{ t | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}";
const SHORT = "{% for m in messages %}{% if m.role == 'tool' %}[TOOL_RESULTS]{{ m.content }}[/TOOL_RESULTS]" +
  "{% elif m.tool_calls %}{% for c in m.tool_calls %}{{ c.function.name }}{{ c.function.arguments | tojson }}{% endfor %}" +
  "{% else %}[INST]{{ m.content }}[/INST]{% endif %}{% endfor %}";
const LIST = '[{"name": "weather", "arguments": {"city": "Oslo"}}, {"name": "weather", "arguments": {"city": "Rome"}}]';

/** The families by name. */
export const FAMILIES: Record<string, Family> = {
  "Hermes and Qwen": {
    template: `${TOOLS}Call with <tool_call>. ${TURNS}`,
    control: CHATML,
    text: "Let me see.",
    answer: 'Let me see.\n<tool_call>\n{"name": "weather", "arguments": {"city": "Oslo"}}\n</tool_call>\n' +
      '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>',
  },
  "Qwen 3 that thinks": {
    template:
      `${TOOLS}${TURNS}{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}` +
      "<tool_call>",
    control: [...CHATML, "<tool_call>", "</tool_call>", "<think>", "</think>"],
    reasoning: "I need the {weather}.",
    text: "So:",
    answer: "<think>\nI need the {weather}.\n</think>\n\nSo:\n\n" +
      '<tool_call>\n{"arguments": {"city": "Oslo"}, "name": "weather"}\n</tool_call>\n' +
      '<tool_call>\n{"name": "weather", "arguments": "{\\"city\\": \\"Rome\\"}"}}\n</tool_call>',
  },
  "Qwen 3 Coder": {
    template: `${TOOLS}<tool_call><function=a><parameter=b></parameter></function></tool_call>${TURNS}`,
    control: CHATML,
    text: "Now",
    answer: "Now<tool_call>\n<function=weather>\n<parameter=city>\nOslo\n</parameter>\n</function>\n</tool_call>\n" +
      "<tool_call>\n<function=weather>\n<parameter=city>\nRome\n</parameter>\n</function>\n</tool_call>",
  },
  "Llama 3": {
    template: `${TOOLS}<|start_header_id|><|python_tag|>${
      TURNS.replace("<tool_call>", "").replace("</tool_call>", "")
    }`,
    control: [...CHATML, "<|python_tag|>", "<|eom_id|>"],
    answer: '{"name": "weather", "parameters": {"city": "Oslo"}}; {"name": "weather", "parameters": {"city": "Rome"}}',
  },
  "Llama 3 with its tag": {
    template: `${TOOLS}<|start_header_id|><|python_tag|>${
      TURNS.replace("<tool_call>", "").replace("</tool_call>", "")
    }`,
    control: [...CHATML, "<|python_tag|>", "<|eom_id|>"],
    answer: '<|python_tag|>{"type": "function", "name": "weather", "parameters": {"city": "Oslo"}};' +
      '{"name": "weather", "parameters": {"city": "Rome"}}',
  },
  "Functionary": {
    template: `${TOOLS}<function=name>{}</function>${TURNS}`,
    control: CHATML,
    text: "So",
    answer: 'So<function=weather>{"city": "Oslo"}</function><function=weather>{"city": "Rome"}</function>',
  },
  "Mistral": {
    template: "{% if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}[TOOL_CALLS]" + SHORT,
    control: ["[INST]", "[/INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"],
    text: "Yes",
    answer: `Yes[TOOL_CALLS] ${LIST}`,
  },
  "Mistral with names": {
    template: "{% if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}[TOOL_CALLS]a[ARGS]" +
      SHORT,
    control: ["[INST]", "[/INST]", "[TOOL_CALLS]", "[ARGS]", "[THINK]"],
    answer: '[TOOL_CALLS]weather[ARGS]{"city": "Oslo"}[TOOL_CALLS]weather[ARGS]{"city": "Rome"}',
  },
  "DeepSeek": {
    template: `${TOOLS}<｜tool▁calls▁begin｜>\`\`\`json${TURNS}<think>\n`,
    control: [
      "<｜tool▁calls▁begin｜>",
      "<｜tool▁call▁begin｜>",
      "<｜tool▁sep｜>",
      "<｜tool▁call▁end｜>",
      "<｜tool▁calls▁end｜>",
    ],
    reasoning: "Hm",
    text: "Well",
    answer: "Hm\n</think>\n\nWell<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n" +
      '{"city": "Oslo"}\n```<｜tool▁call▁end｜>\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>weather\n```json\n' +
      '{"city": "Rome"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
  },
  "DeepSeek without fences": {
    template: `${TOOLS}<｜tool▁calls▁begin｜>${TURNS}`,
    control: [
      "<｜tool▁calls▁begin｜>",
      "<｜tool▁call▁begin｜>",
      "<｜tool▁sep｜>",
      "<｜tool▁call▁end｜>",
      "<｜tool▁calls▁end｜>",
    ],
    answer: '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>weather<｜tool▁sep｜>{"city": "Oslo"}<｜tool▁call▁end｜>' +
      '<｜tool▁call▁begin｜>weather<｜tool▁sep｜>{"city": "Rome"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
  },
  "Granite": {
    template: `${TOOLS}<|tool_call|>${TURNS}`,
    control: ["<|tool_call|>"],
    answer: `<|tool_call|>${LIST}`,
  },
  "Command R": {
    template: `${TOOLS}<|START_THINKING|><|START_ACTION|>${TURNS}`,
    control: ["<|START_THINKING|>", "<|END_THINKING|>", "<|START_ACTION|>", "<|END_ACTION|>"],
    reasoning: "Plan",
    answer: "<|START_THINKING|>Plan<|END_THINKING|><|START_ACTION|>[\n" +
      '    {"tool_call_id": "0", "tool_name": "weather", "parameters": {"city": "Oslo"}},\n' +
      '    {"tool_call_id": "1", "tool_name": "weather", "parameters": {"city": "Rome"}}\n]<|END_ACTION|>',
  },
  "GLM": {
    template: `${TOOLS}<think></think><arg_key>${TURNS}`,
    control: [...CHATML, "<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"],
    reasoning: "Hm",
    text: "So",
    answer:
      "\n<think>Hm</think>\nSo\n<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n</tool_call>\n" +
      "<tool_call>weather\n<arg_key>city</arg_key>\n<arg_value>Rome</arg_value>\n</tool_call>",
  },
  "Seed": {
    template: `${TOOLS}<seed:tool_call><function=a><parameter=b></parameter></function></seed:tool_call>${TURNS}`,
    control: [...CHATML, "<seed:tool_call>", "</seed:tool_call>"],
    answer: "<seed:tool_call>\n<function=weather>\n<parameter=city>Oslo</parameter>\n</function>\n</seed:tool_call>" +
      "<seed:tool_call>\n<function=weather>\n<parameter=city>Rome</parameter>\n</function>\n</seed:tool_call>",
  },
  "Nemotron": {
    template: `${TOOLS}<TOOLCALL>${TURNS}`,
    control: CHATML,
    text: "So",
    answer: `So <TOOLCALL>${LIST}</TOOLCALL>`,
  },
  "Kimi": {
    template: `${TOOLS}<|tool_call_argument_begin|>${TURNS}`,
    control: [
      "<|tool_calls_section_begin|>",
      "<|tool_call_begin|>",
      "<|tool_call_argument_begin|>",
      "<|tool_call_end|>",
      "<|tool_calls_section_end|>",
    ],
    answer:
      '<|tool_calls_section_begin|><|tool_call_begin|>functions.weather:0<|tool_call_argument_begin|>{"city": "Oslo"}' +
      '<|tool_call_end|><|tool_call_begin|>functions.weather:1<|tool_call_argument_begin|>{"city": "Rome"}' +
      "<|tool_call_end|><|tool_calls_section_end|>",
  },
  "a template that knows no functions": {
    template: "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
    control: [],
    text: "Well",
    answer: 'Well\n<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>' +
      '<tool_call>{"name": "weather", "arguments": {"city": "Rome"}}</tool_call>',
  },
  "gpt-oss": {
    template: `${TOOLS}<|start|><|channel|>${TURNS}<|start|>assistant`,
    control: ["<|start|>", "<|end|>", "<|channel|>", "<|message|>", "<|constrain|>", "<|call|>", "<|return|>"],
    reasoning: "Need weather.",
    text: "I look.",
    answer:
      "<|channel|>analysis<|message|>Need weather.<|end|><|start|>assistant<|channel|>commentary<|message|>I look." +
      '<|end|><|start|>assistant<|channel|>commentary to=functions.weather <|constrain|>json<|message|>{"city": "Oslo"}' +
      "<|call|><|start|>assistant to=functions.weather<|channel|>commentary json<|message|>" + '{"city": "Rome"}',
  },
};
