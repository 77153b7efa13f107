"""Times the pre-training step of `electra-train pretrain`, written with transformers in PyTorch's
eager mode.

    pytorch_eager.py f32|bf16 STEPS [BATCH [LENGTH [THREADS [cpu|cuda]]]]

Prints tokens per second, without the first quarter of the steps. ELECTRA-Small and its generator
share embeddings and have random weights. The ids are random, and 15 % of them are masked and
replaced by samples from the generator. The discriminator loss is multiplied by 50, and gradients
are clipped. The optimizer is a fused AdamW. bf16 is autocast over f32 weights, as in transformers'
own trainer.
"""

import sys
import time

import torch
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

MASK = 103


def main(precision, steps, batch=16, length=128, threads=2, device="cpu"):
    steps, batch, length = int(steps), int(batch), int(length)
    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    shape = dict(vocab_size=30522, embedding_size=128, num_hidden_layers=12, max_position_embeddings=512)
    discriminator = ElectraForPreTraining(
        ElectraConfig(hidden_size=256, num_attention_heads=4, intermediate_size=1024, **shape)
    )
    generator = ElectraForMaskedLM(
        ElectraConfig(hidden_size=64, num_attention_heads=1, intermediate_size=256, **shape)
    )
    generator.electra.embeddings = discriminator.electra.embeddings
    generator.generator_lm_head.weight = discriminator.electra.embeddings.word_embeddings.weight
    generator, discriminator = generator.to(device).train(), discriminator.to(device).train()
    parameters = list({id(it): it for it in [*generator.parameters(), *discriminator.parameters()]}.values())
    optimizer = torch.optim.AdamW(parameters, lr=5e-4, eps=1e-6, weight_decay=0.01, fused=True)
    masked = int(length * 0.15)
    low = torch.bfloat16 if precision == "bf16" else None

    def step():
        ids = torch.randint(1000, 30000, (batch, length), device=device)
        positions = torch.rand(batch, length, device=device).argsort(-1)[:, :masked]
        with torch.autocast(device, dtype=low, enabled=low is not None):
            states = generator.electra(ids.scatter(1, positions, MASK)).last_hidden_state
            # Only the masked positions go through the head, as in electra-train.
            states = states.gather(1, positions.unsqueeze(-1).expand(-1, -1, states.shape[-1]))
            logits = generator.generator_lm_head(generator.generator_predictions(states))
            originals = ids.gather(1, positions)
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), originals.flatten())
            samples = torch.distributions.Categorical(logits=logits.detach().float()).sample()
            corrupted = ids.scatter(1, positions, samples)
            judged = discriminator(corrupted).logits.float()
        replaced = (corrupted != ids).float()
        loss = loss + 50 * torch.nn.functional.binary_cross_entropy_with_logits(judged, replaced)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        return loss

    warm = max(1, steps // 4)
    for index in range(steps):
        if index == warm:
            if device == "cuda":
                torch.cuda.synchronize()
            start = time.perf_counter()
        loss = step()
    loss = loss.item()
    seconds = time.perf_counter() - start
    assert loss == loss, "the loss is not a number"
    print(round((steps - warm) * batch * length / seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
