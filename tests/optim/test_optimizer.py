

def test_a_class_with_an_init_of_its_own_can_have_its_step_run_hooks():
    class Wrapper(torch.optim.Optimizer):
        def __init__(self, inner):
            self.inner = inner
            self._patch_step_function()

    assert Wrapper(torch.optim.SGD([torch.ones(1)], 0.1)).step.hooked
