"""Classification: a folder per class, in train/ and val/."""

from .checks import check_folder, check_same, images_in, NewConfigError


def classes_in(folder) -> list[str]:
    """Names of the classes: the sorted names of the folders.

    Raises:
        NewConfigError: There are less than two, or one holds no image.
    """
    found = sorted(p for p in folder.iterdir() if p.is_dir())
    if len(found) < 2:
        raise NewConfigError(
            f'{folder} holds {len(found)} folders: it needs one per class.'
        )
    for path in found:
        images_in(path, 'the class folder')
    return [path.name for path in found]


def data_of(args, base) -> tuple[list[str], dict]:
    """Classes, and what the config says of the data."""
    root = check_folder(args.data, '--data')
    splits = {
        split: check_folder(root / split, f'{split}/ of --data')
        for split in ('train', 'val')
    }
    classes = classes_in(splits['train'])
    check_same(classes, classes_in(splits['val']), 'the classes')
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
