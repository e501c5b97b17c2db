"""Loss weights against numbers worked out by hand."""

import pytest
import torch

from mimicbrush.diffusion.schedulers import make_scheduler
from mimicbrush.training.loss import min_snr_weight

SNR = {0: 1175.4706, 50: 19.651302, 100: 8.453894, 200: 3.059958, 500: 0.381850, 999: 0.004682}
"""a / (1 - a) at these timesteps; a is the cumulative product of 1 - beta, worked out in double precision."""


@pytest.mark.parametrize("gamma", [1.0, 5.0])
def test_min_snr_weights_are_those_of_the_paper(gamma):
    timestep = torch.tensor(list(SNR))
    for prediction_type, denominator in (("epsilon", lambda snr: snr), ("v_prediction", lambda snr: snr + 1)):
        expected = torch.tensor([min(snr, gamma) / denominator(snr) for snr in SNR.values()])
        found = min_snr_weight(make_scheduler(prediction_type), timestep, gamma)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def test_min_snr_weights_weigh_errors_of_the_latent_alike():
    """For noise and for velocity, the weighted error equals min(SNR, gamma) times the error of the clean latent."""
    timestep = torch.arange(0, 1000, 37)
    for prediction_type in ("epsilon", "v_prediction"):
        scheduler = make_scheduler(prediction_type)
        a = scheduler.alphas_cumprod[timestep].double()
        # latent = (noisy - sqrt(1 - a) noise) / sqrt(a) = sqrt(a) noisy - sqrt(1 - a) velocity
        latent_error = (1 - a) / a if prediction_type == "epsilon" else 1 - a
        weight = min_snr_weight(scheduler, timestep, 5.0).double()
        torch.testing.assert_close(weight / latent_error, (a / (1 - a)).clamp(max=5.0), rtol=1e-3, atol=0)
