"""Classification: a folder per class, in train/ and val/."""

from ..data.folders import check_class_folders, class_folders
from .checks import check_folder, check_same, refuse


def classes_in(folder, option: str) -> list[str]:
    """Names of the classes: the sorted names of the folders.

    Raises:
        NewConfigError: There are less than two, or one holds no image.
    """
    refuse(check_class_folders(folder), option)
    return [path.name for path in class_folders(folder)]


def data_of(args, base) -> tuple[list[str], dict]:
    """Classes, and what the config says of the data."""
    root = check_folder(args.data, '--data')
    splits = {
        split: check_folder(root / split, f'{split}/ of --data')
        for split in ('train', 'val')
    }
    classes = classes_in(splits['train'], '--data')
    check_same(classes, classes_in(splits['val'], '--data'), 'the classes')
    topk = (1, 5) if len(classes) > 5 else (1,)

    def dataset(loader, split):
        return dict(
            _delete_=True,
            type='CustomDataset',
            data_root=str(root),
            data_prefix=split,
            pipeline=[step.to_dict() for step in loader.dataset.pipeline],
        )

    loader = dict(dataset=dataset(base.val_dataloader, 'val'))
    return classes, dict(
        model=dict(head=dict(topk=topk)),
        data_preprocessor=dict(num_classes=len(classes)),
        train_dataloader=dict(dataset=dataset(base.train_dataloader, 'train')),
        val_dataloader=loader,
        test_dataloader=loader,
        val_evaluator=dict(topk=topk),
        test_evaluator=dict(topk=topk),
    )
