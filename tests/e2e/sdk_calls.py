"""All calls of the openai SDK that are tried through the gateway."""

from __future__ import annotations

from typing import Final

import pytest

from tests.e2e.sdk_call import SdkCalls
from tests.e2e.sdk_calls_of_jobs import JOB_CALLS
from tests.e2e.sdk_calls_of_media import MEDIA_CALLS
from tests.e2e.sdk_calls_of_models import MODEL_CALLS
from tests.e2e.sdk_calls_of_stores import STORE_CALLS

SDK_CALLS: Final = SdkCalls(MODEL_CALLS | MEDIA_CALLS | JOB_CALLS | STORE_CALLS)
# The SDK gives up the Assistants API, which OpenAI serves still.
AS_THE_SDK_WARNS: Final = pytest.mark.filterwarnings(
    "ignore:The Assistants API is deprecated:DeprecationWarning",
    "ignore:deprecated$:DeprecationWarning",
)
