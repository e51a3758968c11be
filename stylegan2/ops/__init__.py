"""Operations of the generator in plain torch, two of them also compiled for GPUs."""
