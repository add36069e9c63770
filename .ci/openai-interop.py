"""What .ci/openai-interop.sh asks through the `openai` package. KIND is `tiny`, whose answers mean nothing, or `real`."""

import json
import os
from typing import Literal

import openai
from pydantic import BaseModel

BASE, KEY, KIND = (os.environ[name] for name in ("BASE", "KEY", "KIND"))
client = openai.OpenAI(base_url=BASE, api_key=KEY, max_retries=0)
model = client.models.list().data[0].id
assert client.models.retrieve(model).id == model
hello = [{"role": "user", "content": "Say hello."}]
done = []


def ask(**more):
    return client.chat.completions.create(**{"model": model, "messages": hello, "max_tokens": 16, "temperature": 0} | more)


def refused(kind, code, call):
    try:
        call()
    except kind as error:
        assert error.code == code, (error.code, code)
        assert error.request_id, "a refusal without its request's id"
        done.append(code)
        return
    raise SystemExit(f"accepted what should be {code}")


# A streamed chat.
pieces, usage = [], None
for chunk in ask(stream=True, stream_options={"include_usage": True}):
    if chunk.choices and chunk.choices[0].delta.content:
        pieces.append(chunk.choices[0].delta.content)
    usage = chunk.usage or usage
assert pieces and usage.completion_tokens > 0, (pieces, usage)

# The same, whole; equal seeds, equal answers.
whole = ask()
assert whole.choices[0].message.content == "".join(pieces)
assert whole.usage.prompt_tokens_details.cached_tokens >= 0
drawn = [ask(temperature=1.0, seed=7, top_p=0.9, max_completion_tokens=12).choices[0].message.content for _ in range(2)]
assert drawn[0] == drawn[1], drawn

# Several answers, penalties, a bias, a stop.
several = ask(n=3, temperature=1.0, seed=1, presence_penalty=0.5, frequency_penalty=0.5)
assert [choice.index for choice in several.choices] == [0, 1, 2]
indices = {choice.index for chunk in ask(n=2, stream=True) for choice in chunk.choices}
assert indices == {0, 1}, indices
assert ask(logit_bias={"5": -100}, extra_body={"min_p": 0.05, "top_k": 40, "repetition_penalty": 1.1}).choices
assert ask(stop=["\n\n"]).choices[0].finish_reason in ("stop", "length")
plain = client.completions.create(model=model, prompt="Once upon a time", max_tokens=8, temperature=0)
assert plain.choices[0].text is not None and plain.usage.completion_tokens > 0

# Names of a request.
raw = client.chat.completions.with_raw_response.create(
    model=model, messages=hello, max_tokens=4, extra_headers={"x-request-id": "my-name"})
assert raw.headers["x-request-id"] == "my-name" and raw.headers["strongroom-request-id"]

# What is refused, as the package's own kinds of errors.
refused(openai.AuthenticationError, "invalid_api_key",
        lambda: openai.OpenAI(base_url=BASE, api_key="sk-wrong", max_retries=0).models.list())
refused(openai.NotFoundError, "model_not_found", lambda: ask(model="another"))
refused(openai.BadRequestError, "model_not_supported", lambda: client.embeddings.create(model=model, input="a text"))
refused(openai.BadRequestError, "invalid_value", lambda: ask(temperature=3))
refused(openai.BadRequestError, "unsupported_parameter", lambda: ask(extra_body={"service": "best"}))
refused(openai.BadRequestError, "unsupported_parameter", lambda: ask(logprobs=True))
refused(openai.BadRequestError, "invalid_schema", lambda: ask(response_format={
    "type": "json_schema", "json_schema": {"name": "none", "schema": {"type": "nothing"}}}))

if KIND == "real":
    # A schema, into the package's own types.
    class Verdict(BaseModel):
        colour: Literal["red", "green", "blue"]
        certain: bool

    parsed = client.chat.completions.parse(
        model=model, response_format=Verdict, max_tokens=64, temperature=0,
        messages=[{"role": "user", "content": "Which colour has the sky on a clear day? Are you certain?"}])
    assert isinstance(parsed.choices[0].message.parsed, Verdict)
    done.append(f"schema {parsed.choices[0].message.parsed.model_dump()}")

    # Tools: a call, whole and streamed, and the answer to its result.
    tools = [{"type": "function", "function": {
        "name": "weather", "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]
    talk = [{"role": "user", "content": "What is the weather in Paris?"}]
    forced = {"type": "function", "function": {"name": "weather"}}
    called = ask(messages=talk, tools=tools, tool_choice=forced, max_tokens=64)
    call = called.choices[0].message.tool_calls[0]
    assert called.choices[0].finish_reason == "tool_calls" and "city" in json.loads(call.function.arguments)
    deltas = [delta for chunk in ask(messages=talk, tools=tools, tool_choice="required", max_tokens=64, stream=True)
              for choice in chunk.choices for delta in choice.delta.tool_calls or []]
    assert deltas[0].function.name == "weather" and "city" in json.loads("".join(d.function.arguments for d in deltas))
    talk += [called.choices[0].message.model_dump(exclude_none=True),
             {"role": "tool", "tool_call_id": call.id, "content": "{\"sky\": \"clear\", \"degrees\": 21}"}]
    final = ask(messages=talk, tools=tools, max_tokens=48)
    assert final.choices[0].message.content, final
    done.append(f"tool call {call.function.arguments}")

print(f"openai {openai.__version__}, {KIND}: {len(pieces)} pieces, usage {usage.completion_tokens}; {'; '.join(done)}")
