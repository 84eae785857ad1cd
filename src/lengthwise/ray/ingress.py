"""The HTTP side: OpenAI-like routes, one prediction a request, resubmission."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing

from ray.exceptions import RayActorError
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from lengthwise.errors import UserError
from lengthwise.ray import openai, registry
from lengthwise.ray.retry import BrokenError, Chunk, answered


class Ingress:
    """Takes HTTP requests and sends them to replicas through our router.

    Args:
        replicas: the handle of the replicas' deployment.
        model: folder of the model, for its tokenizer.
        most_tokens: of prompt and answer together.
    """

    def __init__(self, replicas: DeploymentHandle, model: str, most_tokens: int) -> None:
        from transformers import AutoTokenizer

        self._generate = replicas.options(method_name="generate", stream=True)
        self._model, self._most_tokens = model, most_tokens
        self._tokenizer = AutoTokenizer.from_pretrained(model)

    async def __call__(self, http: Request) -> Response:
        """One HTTP request."""
        path = http.url.path
        if path == "/v1/models":
            return JSONResponse({"object": "list", "data": [{"id": self._model}]})
        if path == "/health":
            return JSONResponse({"status": "ok"})
        if path == "/v1/routing":
            return JSONResponse([router.describe() for router in registry.ROUTERS])
        if path not in openai.PATHS:
            return JSONResponse(openai.failure(f"no route {path}", "not_found"), 404)
        try:
            ask = await self._ask(path, http)
        except UserError as error:
            return JSONResponse(openai.failure(str(error), "invalid_request_error"), 400)
        if ask.stream:
            return StreamingResponse(self._stream(ask), media_type="text/event-stream")
        return await self._whole(ask)

    async def use_router(self, name: str) -> None:
        """Let another router choose from now on; called through the app's handle, not over HTTP."""
        for router in registry.ROUTERS:
            await asyncio.wrap_future(router.use(name))

    async def _ask(self, path: str, http: Request) -> openai.Ask:
        try:
            body = await http.json()
        except ValueError:
            raise UserError("the body is not JSON") from None
        id = f"cmpl-{uuid.uuid4().hex}"
        return openai.parse(path, body, id, self._model, self._tokenizer, self._most_tokens)

    async def _chunks(self, ask: openai.Ask) -> AsyncIterator[Chunk]:
        """The answer's chunks; the routers of this process see them pass."""
        id, tokens, done = ask.request["id"], 0, False
        try:
            stream = answered(self._generate.remote, ask.request, (RayActorError,))
            async with aclosing(stream) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    tokens += len(chunk["ids"])
                    done = chunk["finish"] is not None
                    for router in registry.ROUTERS:
                        router.streams(id, tokens)
                    yield chunk
        finally:
            for router in registry.ROUTERS:
                router.finished(id, tokens if done else 0)

    async def _stream(self, ask: openai.Ask) -> AsyncIterator[str]:
        tokens = 0
        try:
            async for chunk in self._chunks(ask):
                tokens += len(chunk["ids"])
                yield openai.piece(ask, chunk)
        except (BrokenError, RuntimeError, ValueError) as error:
            yield openai.failed(str(error))
        yield openai.last(ask, tokens)

    async def _whole(self, ask: openai.Ask) -> Response:
        """The answer in one piece: until it is whole nothing was streamed to the client."""
        for last_try in (False, True):
            text, tokens, finish = "", 0, ""
            try:
                async for chunk in self._chunks(ask):
                    text += chunk["text"]
                    tokens += len(chunk["ids"])
                    finish = chunk["finish"] or finish
                return JSONResponse(openai.whole(ask, text, tokens, finish))
            except BrokenError as error:
                if last_try:
                    return JSONResponse(openai.failure(str(error), "server_error"), 502)
            except (RuntimeError, ValueError) as error:
                return JSONResponse(openai.failure(str(error), "server_error"), 500)
        raise AssertionError("unreachable")
