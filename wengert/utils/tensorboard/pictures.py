"""Arrays as pictures: in the order height, width, channel; batches laid out in a grid; PNG files.

Pillow draws and compresses them; it comes with matplotlib, and with the extra `tensorboard`.
"""

import io
import math

import numpy as np

from wengert.tensor import Tensor


def as_array(value):
    """A tensor, array or number as an array; NotImplementedError for anything else."""
    if isinstance(value, np.ndarray):
        return value
    if np.isscalar(value):
        return np.array([value])
    if isinstance(value, Tensor):
        value = value.detach()
        return value.numpy() if value.dtype.name != "bfloat16" else value.float().numpy().astype(np.float16)
    raise NotImplementedError(f"Got {type(value)}, but numpy array or torch tensor are expected.")


def grid(images, columns=8):
    """Images (count, channel, height, width) side by side, as one (3, height, width)."""
    if images.ndim == 4 and images.shape[1] == 1:
        images = np.repeat(images, 3, axis=1)
    if images.ndim != 4 or images.shape[1] != 3:
        raise AssertionError("Input should be a 4D numpy array with 3 channels")
    count, _, height, width = images.shape
    columns = min(count, columns)
    canvas = np.zeros((3, height * math.ceil(count / columns), width * columns), images.dtype)
    for place, image in enumerate(images):
        row, column = divmod(place, columns)
        canvas[:, row * height : (row + 1) * height, column * width : (column + 1) * width] = image
    return canvas


def as_picture(array, dataformats):
    """An array whose dimensions are named as in "CHW", "NCHW", "HW", as (height, width, channel)."""
    if len(set(dataformats)) != len(dataformats):
        raise AssertionError(f"You can not use the same dimension shorthand twice. input_format: {dataformats}")
    if array.ndim != len(dataformats):
        raise AssertionError(
            "size of input tensor and input format are different. "
            f"tensor shape: {array.shape}, input_format: {dataformats}"
        )
    names = dataformats.upper()
    if len(names) == 4:
        return grid(array.transpose([names.find(name) for name in "NCHW"])).transpose(1, 2, 0)
    if len(names) == 3:
        picture = array.transpose([names.find(name) for name in "HWC"])
        return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture
    return np.stack([array.transpose([names.find(name) for name in "HW"])] * 3, 2)


def as_bytes(array):
    """Brightnesses as bytes: bytes are taken as they are, other numbers as from 0 to 1."""
    scale = 1 if array.dtype == np.uint8 else 255
    return (array.astype(np.float32) * scale).clip(0, 255).astype(np.uint8)


def png(picture, rescale=1, boxes=None, labels=None):
    """A picture as a PNG file, with boxes (left, top, right, bottom) drawn in it."""
    from PIL import Image

    height, width, _ = picture.shape
    image = Image.fromarray(picture)
    for place, box in enumerate(() if boxes is None else boxes):
        draw_box(image, box, None if labels is None else labels[place])
    image = image.resize((int(width * rescale), int(height * rescale)), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


def draw_box(image, box, label, color="Red"):
    """A box and its label."""
    from PIL import ImageDraw, ImageFont

    left, top, right, bottom = box
    draw = ImageDraw.Draw(image)
    draw.line([(left, top), (left, bottom), (right, bottom), (right, top), (left, top)], width=2, fill=color)
    if label:
        font = ImageFont.load_default()
        text_left, text_top, text_right, text_bottom = font.getbbox(label)
        width, height = text_right - text_left, text_bottom - text_top
        margin = np.ceil(0.05 * height)
        draw.rectangle([(left, bottom - height - 2 * margin), (left + width, bottom)], fill=color)
        draw.text((left + margin, bottom - height - margin), label, fill="black", font=font)


def figures(figure, close):
    """A figure of matplotlib, or a list of them, as an array in the order channel, height, width."""
    from matplotlib import pyplot
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    def render(figure):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        width, height = figure.canvas.get_width_height()
        picture = np.frombuffer(canvas.buffer_rgba(), np.uint8).reshape(height, width, 4)[:, :, :3]
        if close:
            pyplot.close(figure)
        return np.moveaxis(picture, 2, 0)

    return np.stack([render(each) for each in figure]) if isinstance(figure, list) else render(figure)
