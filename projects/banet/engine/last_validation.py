"""The validation of a training that was killed in its last one."""

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import IterBasedTrainLoop


@HOOKS.register_module()
class LastValidationHook(Hook):
    """Validate a training that is resumed at its end.

    A checkpoint is written before the validation of its epoch. A training
    that was killed during its last validation has nothing left to train, and
    mmengine would end without the metrics that it was trained for.
    tools/train.py turns the hook on for every run that is resumed; elsewhere
    ``default_hooks=dict(last_validation=dict(type='LastValidationHook'))``
    does.
    """

    priority = 'VERY_LOW'  # when the other hooks are ready

    def before_train(self, runner):
        """Validate, if no iteration will be trained."""
        loop = runner.train_loop
        if isinstance(loop, IterBasedTrainLoop):
            done, end = loop.iter, loop.max_iters
        else:
            done, end = loop.epoch, loop.max_epochs
        if done < end or runner.val_loop is None or loop.val_begin > end:
            return
        runner.logger.info(
            f'Nothing is left to train after {done} of {end}: validating.'
        )
        runner.val_loop.run()
