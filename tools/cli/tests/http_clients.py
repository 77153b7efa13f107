#!/usr/bin/env python3
"""Asks a running `electra serve --http` with the clients of other projects.

    http_clients.py URL ELECTRA MODEL

Compares the answers of `huggingface_hub` with those of `electra classify`. Exits with an error if
they differ.
"""

import json
import subprocess
import sys

from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

TEXTS = ["ELECTRA is surprisingly fast and accurate.", "A dull, lifeless mess.", "", "naïve 😀\nnew line"]

url, electra, model = sys.argv[1:]
client = InferenceClient(model=url)
for text in TEXTS:
    command = [electra, "classify", "--model", model, "--json", "--", text]
    expected = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["scores"]
    found = [{"label": entry.label, "score": entry.score} for entry in client.text_classification(text)]
    assert found == expected, (text, found, expected)
    found = client.text_classification(text, top_k=1, function_to_apply="softmax")
    assert [entry.label for entry in found] == [expected[0]["label"]], (text, found)

try:
    client.text_classification("a", function_to_apply="sigmoid")
except HfHubHTTPError as error:
    assert error.response.status_code == 422, error
    assert "function_to_apply" in error.response.json()["error"], error.response.text
else:
    raise AssertionError("sigmoid was accepted")
print(f"huggingface_hub: {len(TEXTS)} texts have the answers of electra classify")
