"""Summaries: what an event file holds of a value, as TensorBoard's plugins expect it."""

import io
import json
import wave

import numpy as np
from google.protobuf import struct_pb2
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2 as hparams_api
from tensorboard.plugins.hparams import metadata as hparams_names
from tensorboard.plugins.hparams import plugin_data_pb2 as hparams_data
from tensorboard.plugins.pr_curve.plugin_data_pb2 import PrCurvePluginData
from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData

import wengert
from wengert.tensor import Tensor
from wengert.utils.tensorboard import pictures
from wengert.utils.tensorboard.pictures import as_array

MAX_THRESHOLDS = 127
# How a tensor's elements are written: the name of its type, and the field.
TENSOR_FIELDS = {
    "float16": ("DT_HALF", "half_val"), "bfloat16": ("DT_BFLOAT16", "half_val"), "float32": ("DT_FLOAT", "float_val"),
    "float64": ("DT_DOUBLE", "double_val"), "int8": ("DT_INT8", "int_val"), "uint8": ("DT_UINT8", "uint32_val"),
    "int16": ("DT_INT16", "int_val"), "int32": ("DT_INT32", "int_val"), "int64": ("DT_INT64", "int64_val"),
    "complex64": ("DT_COMPLEX64", "scomplex_val"), "complex128": ("DT_COMPLEX128", "dcomplex_val"),
    "bool": ("DT_BOOL", "bool_val"),
}  # fmt: skip


def shape(sizes):
    """A shape in a file's words."""
    return TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])


def plugin(name, content=b""):
    """The mark that leaves a value to a plugin."""
    return SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name=name, content=content))


def of(tag, **value):
    """A summary of one value."""
    return Summary(value=[Summary.Value(tag=tag, **value)])


def scalar(tag, value, new_style=False, double_precision=False):
    """A number; AssertionError for a tensor of several."""
    array = as_array(value).squeeze()
    if array.ndim != 0:
        raise AssertionError(
            f"Tensor should contain one element (0 dimensions). Was given size: {array.size} and {array.ndim} "
            "dimensions."
        )
    number = float(array)
    if not new_style:
        return of(tag, simple_value=number)
    if double_precision:
        return of(tag, tensor=TensorProto(double_val=[number], dtype="DT_DOUBLE"), metadata=plugin("scalars"))
    return of(tag, tensor=TensorProto(float_val=[number], dtype="DT_FLOAT"), metadata=plugin("scalars"))


def tensor(tag, value):
    """A whole tensor; ValueError for one of 2 GB and more, or of another dtype."""
    if value.numel() * value.itemsize >= 1 << 31:
        raise ValueError("tensor is bigger than protocol buffer's hard limit of 2GB in size")
    known = TENSOR_FIELDS.get(value.dtype.name)
    if known is None:
        raise ValueError(f"{tag} has unsupported tensor dtype {value.dtype}")
    kind, field = known
    flat = value.detach().reshape(-1)
    if value.dtype.is_complex:
        numbers = wengert.view_as_real(flat).reshape(-1).tolist()
    elif field == "half_val":
        numbers = flat.float().view(wengert.int32).tolist()  # the bits as PyTorch writes them: those of a float32
    else:
        numbers = flat.tolist()
    proto = TensorProto(dtype=kind, tensor_shape=shape(value.shape), **{field: numbers})
    return of(tag, tensor=proto, metadata=plugin("tensor"))


def histogram(tag, values, bins, max_bins=None):
    """How values are spread over bins; ValueError where there are none."""
    values = as_array(values).astype(float).reshape(-1)
    if values.size == 0:
        raise ValueError("The input has no element.")
    counts, limits = np.histogram(values, bins=bins)
    if max_bins is not None and len(counts) > max_bins:
        counts, limits = coarser(counts, limits, len(counts) // max_bins)
    filled = np.flatnonzero(counts)
    if not filled.size:
        raise ValueError("The histogram is empty, please file a bug report.")
    # TensorBoard wants the first bin before and the limits from there on, all counts being below their limit.
    first, last = int(filled[0]), int(filled[-1]) + 1
    kept = counts[first - 1 : last] if first > 0 else np.concatenate([[0], counts[:last]])
    return histogram_raw(
        tag, values.min(), values.max(), len(values), values.sum(), values.dot(values),
        limits[first : last + 1].tolist(), kept.tolist(),
    )  # fmt: skip


def coarser(counts, limits, step):
    """Each `step` bins as one."""
    if rest := len(counts) % step:
        counts = np.pad(counts, (0, step - rest))
    return counts.reshape(-1, step).sum(axis=-1), np.append(limits[:-1:step], limits[-1])


def histogram_raw(tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts):
    """A histogram that was counted elsewhere."""
    proto = HistogramProto(
        min=min, max=max, num=num, sum=sum, sum_squares=sum_squares, bucket_limit=bucket_limits, bucket=bucket_counts
    )
    return of(tag, histo=proto)


def image(tag, value, rescale=1, dataformats="NCHW", boxes=None, labels=None):
    """A picture, with boxes in it."""
    picture = pictures.as_bytes(pictures.as_picture(as_array(value), dataformats))
    height, width, channels = picture.shape
    content = pictures.png(picture, rescale, None if boxes is None else as_array(boxes), labels)
    return of(tag, image=Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=content))


def audio(tag, value, sample_rate=44100):
    """A sound of one channel, as numbers from -1 to 1."""
    array = as_array(value).squeeze()
    if abs(array).max() > 1:
        print("warning: audio amplitude out of range, auto clipped.")
        array = array.clip(-1, 1)
    if array.ndim != 1:
        raise AssertionError("input tensor should be 1 dimensional.")
    samples = (array * np.iinfo(np.int16).max).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(sample_rate)
        sound.writeframes(samples.tobytes())
    content = Summary.Audio(
        sample_rate=sample_rate, num_channels=1, length_frames=len(samples), encoded_audio_string=file.getvalue(),
        content_type="audio/wav",
    )  # fmt: skip
    return of(tag, audio=content)


def text(tag, value):
    """A text, which TensorBoard reads as Markdown."""
    proto = TensorProto(dtype="DT_STRING", string_val=[value.encode("utf-8")], tensor_shape=shape([1]))
    return of(f"{tag}/text_summary", metadata=plugin("text", TextPluginData(version=0).SerializeToString()),
              tensor=proto)  # fmt: skip


def custom_scalars(layout):
    """Charts of several scalars, ``{category: {title: [kind, tags]}}`` with kind "Multiline" or "Margin"."""
    categories = []
    for category, charts in layout.items():
        made = []
        for title, (kind, tags, *_) in charts.items():
            if kind == "Margin":
                if len(tags) != 3:
                    raise AssertionError("len(tags) != 3")
                series = layout_pb2.MarginChartContent.Series(value=tags[0], lower=tags[1], upper=tags[2])
                made.append(layout_pb2.Chart(title=title, margin=layout_pb2.MarginChartContent(series=[series])))
            else:
                made.append(layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=tags)))
        categories.append(layout_pb2.Category(title=category, chart=made))
    content = layout_pb2.Layout(category=categories).SerializeToString()
    proto = TensorProto(dtype="DT_STRING", string_val=[content], tensor_shape=TensorShapeProto())
    return of("custom_scalars__config__", tensor=proto, metadata=plugin("custom_scalars"))


def pr_curve(tag, labels, predictions, num_thresholds=MAX_THRESHOLDS, weights=None):
    """Precision and recall of predictions from 0 to 1, for thresholds at equal distances."""
    labels, predictions = as_array(labels).astype(np.float64), as_array(predictions)
    num_thresholds = min(num_thresholds, MAX_THRESHOLDS)
    weights = 1.0 if weights is None else weights
    places = np.int32(np.floor(predictions * (num_thresholds - 1)))
    span = (0, num_thresholds - 1)

    def at_least(weights):
        found, _ = np.histogram(places, bins=num_thresholds, range=span, weights=weights)
        return np.cumsum(found[::-1])[::-1]

    true, false = at_least(labels * weights), at_least((1.0 - labels) * weights)
    missed, rejected = true[0] - true, false[0] - false
    precision, recall = true / np.maximum(1e-7, true + false), true / np.maximum(1e-7, true + missed)
    return pr_curve_raw(tag, true, false, rejected, missed, precision, recall, num_thresholds)


def pr_curve_raw(tag, tp, fp, tn, fn, precision, recall, num_thresholds=MAX_THRESHOLDS, weights=None):
    """The same from counts made elsewhere."""
    data = np.stack([as_array(row) for row in (tp, fp, tn, fn, precision, recall)])
    content = PrCurvePluginData(version=0, num_thresholds=min(num_thresholds, MAX_THRESHOLDS)).SerializeToString()
    proto = TensorProto(dtype="DT_FLOAT", float_val=data.reshape(-1).tolist(), tensor_shape=shape(data.shape))
    return of(tag, metadata=plugin("pr_curves", content), tensor=proto)


def mesh(tag, vertices, colors, faces, config_dict, display_name=None, description=None):
    """Points, and surfaces between them, in three dimensions."""
    from tensorboard.plugins.mesh import metadata
    from tensorboard.plugins.mesh.plugin_data_pb2 import MeshPluginData

    config = "{}" if config_dict is None else json.dumps(config_dict, sort_keys=True)
    parts = ((vertices, MeshPluginData.VERTEX), (faces, MeshPluginData.FACE), (colors, MeshPluginData.COLOR))
    parts = [(part, kind) for part, kind in parts if part is not None]
    components = metadata.get_components_bitmask([kind for _, kind in parts])
    values = []
    for part, kind in parts:
        part = wengert.as_tensor(part)
        about = metadata.create_summary_metadata(
            tag, display_name, kind, components, part.shape, description, json_config=config
        )
        proto = TensorProto(dtype="DT_FLOAT", float_val=part.reshape(-1).tolist(), tensor_shape=shape(part.shape[:3]))
        values.append(Summary.Value(tag=metadata.get_instance_name(tag, kind), tensor=proto, metadata=about))
    return Summary(value=values)


def hparams(hparam_dict, metric_dict, hparam_domain_discrete=None):
    """The three summaries of a run with hyperparameters: what they are, that it began, that it ended well.

    Raises TypeError for what are no dicts or domains of other types, ValueError for values of other types.
    """
    for name, value in (("hparam_dict", hparam_dict), ("metric_dict", metric_dict)):
        if not isinstance(value, dict):
            raise TypeError(f"parameter: {name} should be a dictionary, nothing logged.")
    domains = checked_domains(hparam_domain_discrete or {}, hparam_dict)
    start, infos = hparams_data.SessionStartInfo(), []
    for name, value in hparam_dict.items():
        if value is None:
            continue
        field, kind, value = hparam_field(value)
        setattr(start.hparams[name], field, value)
        domain = None
        if name in domains:
            domain = struct_pb2.ListValue(values=[struct_pb2.Value(**{field: each}) for each in domains[name]])
        info_type = hparams_api.DataType.Value(kind)
        infos.append(hparams_api.HParamInfo(name=name, type=info_type, domain_discrete=domain))
    metrics = [hparams_api.MetricInfo(name=hparams_api.MetricName(tag=name)) for name in metric_dict]
    experiment = hparams_api.Experiment(hparam_infos=infos, metric_infos=metrics)
    end = hparams_data.SessionEndInfo(status=hparams_api.Status.Value("STATUS_SUCCESS"))
    return (
        hparams_part(hparams_names.EXPERIMENT_TAG, experiment=experiment),
        hparams_part(hparams_names.SESSION_START_INFO_TAG, session_start_info=start),
        hparams_part(hparams_names.SESSION_END_INFO_TAG, session_end_info=end),
    )


def hparams_part(tag, **content):
    """One of the three."""
    data = hparams_data.HParamsPluginData(version=hparams_names.PLUGIN_DATA_VERSION, **content)
    return of(tag, metadata=plugin(hparams_names.PLUGIN_NAME, data.SerializeToString()))


def hparam_field(value):
    """(field, type, value) by which a hyperparameter is written. Truths are numbers, as PyTorch writes them."""
    if isinstance(value, int | float):
        return "number_value", "DATA_TYPE_FLOAT64", value
    if isinstance(value, str):
        return "string_value", "DATA_TYPE_STRING", value
    if isinstance(value, Tensor):
        return "number_value", "DATA_TYPE_FLOAT64", float(as_array(value).reshape(-1)[0])
    raise ValueError("value should be one of int, float, str, bool, or torch.Tensor")


def checked_domains(domains, hparam_dict):
    """Domains of hyperparameters, each a list of values of its type; TypeError otherwise."""
    if not isinstance(domains, dict):
        raise TypeError("parameter: hparam_domain_discrete should be a dictionary, nothing logged.")
    for name, values in domains.items():
        kind = type(hparam_dict.get(name))
        if name not in hparam_dict or not isinstance(values, list) or not all(isinstance(v, kind) for v in values):
            raise TypeError(
                f"parameter: hparam_domain_discrete[{name}] should be a list of same type as hparam_dict[{name}]."
            )
    return domains
