"""SummaryWriter: a run's numbers, pictures and texts in an event file that TensorBoard shows."""

import os
import socket
import time
from datetime import datetime

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.plugins.projector.projector_config_pb2 import EmbeddingInfo, ProjectorConfig
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from wengert.utils.tensorboard import pictures, summary
from wengert.utils.tensorboard.pictures import as_array

__all__ = ["FileWriter", "SummaryWriter"]


def default_bins():
    """The limits of TensorFlow's histograms: powers of 1.1 from 1e-12 to 1e20, on both sides of 0."""
    limits, limit = [], 1e-12
    while limit < 1e20:
        limits.append(limit)
        limit *= 1.1
    return [-limit for limit in reversed(limits)] + [0] + limits


class FileWriter:
    """One event file in the folder `log_dir`; `SummaryWriter` is built on it."""

    def __init__(self, log_dir, max_queue=10, flush_secs=120, filename_suffix=""):
        self.event_writer = EventFileWriter(str(log_dir), max_queue, flush_secs, filename_suffix)

    def get_logdir(self):
        """The folder."""
        return self.event_writer.get_logdir()

    def add_event(self, event, step=None, walltime=None):
        """Write an event as of `step` and `walltime`, seconds since 1970 (default: now)."""
        event.wall_time = time.time() if walltime is None else walltime
        if step is not None:
            event.step = int(step)
        self.event_writer.add_event(event)

    def add_summary(self, summary, global_step=None, walltime=None):
        """Write a summary."""
        self.add_event(Event(summary=summary), global_step, walltime)

    def flush(self):
        """Have everything reach the disk."""
        self.event_writer.flush()

    def close(self):
        """End the file."""
        self.event_writer.close()

    def reopen(self):
        """Begin another file in the same folder."""
        self.event_writer.reopen()


class SummaryWriter:
    """Writes a run's values into event files.

    The methods take a `tag`, the name under which TensorBoard shows the value; ``global_step``, the step it belongs to;
    and ``walltime``, seconds since 1970, by default now.

    Args:
        log_dir: the folder; default ``runs/`` and a name of the time and the machine.
        comment: the end of that default name.
        purge_step: hide what an earlier writer wrote from this step on.
        max_queue, flush_secs: how many values, and for how long, may wait to be written.
        filename_suffix: the end of the files' names.
    """

    def __init__(self, log_dir=None, comment="", purge_step=None, max_queue=10, flush_secs=120, filename_suffix=""):
        if not log_dir:
            now = datetime.now().strftime("%b%d_%H-%M-%S")
            log_dir = os.path.join("runs", f"{now}_{socket.gethostname()}{comment}")
        self.log_dir, self.purge_step = log_dir, purge_step
        self.max_queue, self.flush_secs, self.filename_suffix = max_queue, flush_secs, filename_suffix
        self.file_writer = self.all_writers = None
        self._get_file_writer()
        self.default_bins = default_bins()

    def _get_file_writer(self):
        """The writer of the main file, made anew after `close`."""
        if self.file_writer is None:
            self.file_writer = self._new_file(self.log_dir)
            self.all_writers = {self.file_writer.get_logdir(): self.file_writer}
            if self.purge_step is not None:
                self.file_writer.add_event(Event(step=self.purge_step, file_version="brain.Event:2"))
                start = SessionLog(status=SessionLog.START)
                self.file_writer.add_event(Event(step=self.purge_step, session_log=start))
                self.purge_step = None
        return self.file_writer

    def _new_file(self, folder):
        return FileWriter(folder, self.max_queue, self.flush_secs, self.filename_suffix)

    def get_logdir(self):
        """The folder."""
        return self.log_dir

    def _add(self, made, global_step, walltime):
        self._get_file_writer().add_summary(made, global_step, walltime)

    def add_scalar(self, tag, scalar_value, global_step=None, walltime=None, new_style=False, double_precision=False):
        """A number, or a tensor of one element."""
        self._add(summary.scalar(tag, scalar_value, new_style, double_precision), global_step, walltime)

    def add_scalars(self, main_tag, tag_scalar_dict, global_step=None, walltime=None):
        """Several numbers in one chart, ``{tag: number}``; each gets a file in a folder of its own."""
        walltime = time.time() if walltime is None else walltime
        folder = self._get_file_writer().get_logdir()
        for tag, value in tag_scalar_dict.items():
            place = f"{folder}/{main_tag.replace('/', '_')}_{tag}"
            if place not in self.all_writers:
                self.all_writers[place] = self._new_file(place)
            self.all_writers[place].add_summary(summary.scalar(main_tag, value), global_step, walltime)

    def add_tensor(self, tag, tensor, global_step=None, walltime=None):
        """A whole tensor."""
        self._add(summary.tensor(tag, tensor), global_step, walltime)

    def add_histogram(self, tag, values, global_step=None, bins="tensorflow", walltime=None, max_bins=None):
        """How values are spread, over bins of TensorFlow's or NumPy's making (``"auto"``, ``"fd"``, ...)."""
        bins = self.default_bins if isinstance(bins, str) and bins == "tensorflow" else bins
        self._add(summary.histogram(tag, values, bins, max_bins), global_step, walltime)

    def add_histogram_raw(self, tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts, global_step=None,
                          walltime=None):  # fmt: skip
        """A histogram that was counted elsewhere; ValueError unless each limit has its count."""
        if len(bucket_limits) != len(bucket_counts):
            raise ValueError("len(bucket_limits) != len(bucket_counts), see the document.")
        made = summary.histogram_raw(tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts)
        self._add(made, global_step, walltime)

    def add_image(self, tag, img_tensor, global_step=None, walltime=None, dataformats="CHW"):
        """A picture: bytes, or numbers from 0 to 1, with dimensions in the order of `dataformats`."""
        self._add(summary.image(tag, img_tensor, dataformats=dataformats), global_step, walltime)

    def add_images(self, tag, img_tensor, global_step=None, walltime=None, dataformats="NCHW"):
        """Several pictures as one, side by side."""
        self._add(summary.image(tag, img_tensor, dataformats=dataformats), global_step, walltime)

    def add_image_with_boxes(self, tag, img_tensor, box_tensor, global_step=None, walltime=None, rescale=1,
                             dataformats="CHW", labels=None):  # fmt: skip
        """A picture with boxes (count, 4: left, top, right, bottom), each with a label."""
        if labels is not None:
            labels = [labels] if isinstance(labels, str) else labels
            if len(labels) != box_tensor.shape[0]:
                labels = None
        made = summary.image(tag, img_tensor, rescale, dataformats, boxes=box_tensor, labels=labels)
        self._add(made, global_step, walltime)

    def add_figure(self, tag, figure, global_step=None, close=True, walltime=None):
        """A figure of matplotlib, or a list of them; closed afterwards if `close`."""
        formats = "NCHW" if isinstance(figure, list) else "CHW"
        self.add_image(tag, pictures.figures(figure, close), global_step, walltime, dataformats=formats)

    def add_video(self, tag, vid_tensor, global_step=None, fps=4, walltime=None):
        """Refused: a film needs the package moviepy, which wengert doesn't use."""
        raise NotImplementedError("SummaryWriter.add_video: wengert makes no films; add_images shows the frames")

    def add_audio(self, tag, snd_tensor, global_step=None, sample_rate=44100, walltime=None):
        """A sound: numbers from -1 to 1, (samples) or (1, samples)."""
        self._add(summary.audio(tag, snd_tensor, sample_rate), global_step, walltime)

    def add_text(self, tag, text_string, global_step=None, walltime=None):
        """A text, shown as Markdown."""
        self._add(summary.text(tag, text_string), global_step, walltime)

    def add_graph(self, model, input_to_model=None, verbose=False, use_strict_trace=True):
        """Refused: PyTorch's graph here is a trace of TorchScript."""
        raise NotImplementedError("SummaryWriter.add_graph: wengert has no TorchScript to trace a model with")

    def add_onnx_graph(self, prototxt):
        """Refused: wengert reads no ONNX."""
        raise NotImplementedError("SummaryWriter.add_onnx_graph: wengert reads no ONNX")

    def add_pr_curve(self, tag, labels, predictions, global_step=None, num_thresholds=127, weights=None,
                     walltime=None):  # fmt: skip
        """Precision and recall of predictions (numbers from 0 to 1) against labels (0 or 1)."""
        self._add(summary.pr_curve(tag, labels, predictions, num_thresholds, weights), global_step, walltime)

    def add_pr_curve_raw(self, tag, true_positive_counts, false_positive_counts, true_negative_counts,
                         false_negative_counts, precision, recall, global_step=None, num_thresholds=127, weights=None,
                         walltime=None):  # fmt: skip
        """The same from counts made elsewhere."""
        made = summary.pr_curve_raw(
            tag, true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts, precision,
            recall, num_thresholds, weights,
        )  # fmt: skip
        self._add(made, global_step, walltime)

    def add_custom_scalars(self, layout):
        """Charts of several scalars, ``{category: {title: ["Multiline" | "Margin", tags]}}``."""
        self._add(summary.custom_scalars(layout), None, None)

    def add_custom_scalars_multilinechart(self, tags, category="default", title="untitled"):
        """One chart with a line for each tag."""
        self.add_custom_scalars({category: {title: ["Multiline", tags]}})

    def add_custom_scalars_marginchart(self, tags, category="default", title="untitled"):
        """One chart with a line and what is below and above it: three tags."""
        if len(tags) != 3:
            raise AssertionError(f"Expected 3 tags, got {len(tags)}.")
        self.add_custom_scalars({category: {title: ["Margin", tags]}})

    def add_mesh(self, tag, vertices, colors=None, faces=None, config_dict=None, global_step=None, walltime=None):
        """Points (batch, count, 3), their colors, and triangles between them as indices."""
        self._add(summary.mesh(tag, vertices, colors, faces, config_dict), global_step, walltime)

    def add_hparams(self, hparam_dict, metric_dict, hparam_domain_discrete=None, run_name=None, global_step=None):
        """The hyperparameters of a run and how well it did, for comparing runs; in a folder of its own."""
        if type(hparam_dict) is not dict or type(metric_dict) is not dict:
            raise TypeError("hparam_dict and metric_dict should be dictionary.")
        parts = summary.hparams(hparam_dict, metric_dict, hparam_domain_discrete)
        folder = os.path.join(self._get_file_writer().get_logdir(), run_name or str(time.time()))
        with SummaryWriter(log_dir=folder) as run:
            for part in parts:
                run.file_writer.add_summary(part, global_step)
            for name, value in metric_dict.items():
                run.add_scalar(name, value, global_step)

    def add_embedding(self, mat, metadata=None, label_img=None, global_step=None, tag="default", metadata_header=None):
        """Points of many dimensions (count, dimensions), for the projector.

        Args:
            metadata: a label for each, or with `metadata_header` a list of columns.
            label_img: a picture for each, (count, channel, height, width), numbers from 0 to 1.
        Raises:
            AssertionError: another number of labels or pictures, or points of another shape.
        """
        points = as_array(mat)
        step = str(0 if global_step is None else global_step).zfill(5)
        subfolder = f"{step}/{escaped(tag)}"
        folder = os.path.join(self._get_file_writer().get_logdir(), subfolder)
        if os.path.isdir(folder):
            print("warning: Embedding dir exists, did you set global_step for add_embedding()?")
        os.makedirs(folder, exist_ok=True)
        info = EmbeddingInfo(tensor_name=f"{tag}:{step}", tensor_path=os.path.join(subfolder, "tensors.tsv"))
        if metadata is not None:
            if len(points) != len(metadata):
                raise AssertionError("#labels should equal with #data points")
            write_lines(os.path.join(folder, "metadata.tsv"), labels(metadata, metadata_header))
            info.metadata_path = os.path.join(subfolder, "metadata.tsv")
        if label_img is not None:
            if len(points) != label_img.shape[0]:
                raise AssertionError("#images should equal with #data points")
            write_sprite(os.path.join(folder, "sprite.png"), as_array(label_img))
            info.sprite.image_path = os.path.join(subfolder, "sprite.png")
            info.sprite.single_image_dim.extend([label_img.shape[3], label_img.shape[2]])
        if points.ndim != 2:
            raise AssertionError("mat should be 2D, where mat.size(0) is the number of data points")
        write_lines(os.path.join(folder, "tensors.tsv"), ("\t".join(str(x.item()) for x in row) for row in points))
        self._add_to_projector(info)

    def _add_to_projector(self, info):
        from google.protobuf import text_format

        if not hasattr(self, "_projector_config"):
            self._projector_config = ProjectorConfig()
        self._projector_config.embeddings.extend([info])
        place = os.path.join(self._get_file_writer().get_logdir(), "projector_config.pbtxt")
        with open(place, "w", encoding="utf-8") as file:
            file.write(text_format.MessageToString(self._projector_config))

    def flush(self):
        """Have everything reach the disk."""
        for writer in (self.all_writers or {}).values():
            writer.flush()

    def close(self):
        """End the files; a later value begins new ones."""
        for writer in (self.all_writers or {}).values():
            writer.flush()
            writer.close()
        self.file_writer = self.all_writers = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


def escaped(tag):
    """A tag as the name of a folder."""
    for character in "%/\\":
        tag = tag.replace(character, f"%{ord(character):02x}")
    return tag


def labels(metadata, header):
    """The lines of a table of labels."""
    if not header:
        return [str(each) for each in metadata]
    if len(header) != len(metadata[0]):
        raise AssertionError("len of header must be equal to the number of columns in metadata")
    return ["\t".join(map(str, row)) for row in [header, *metadata]]


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def write_sprite(path, images):
    """All pictures in one square, as the projector wants them."""
    columns = int(np.ceil(len(images) ** 0.5))
    laid_out = pictures.grid(images, columns).transpose(1, 2, 0)
    square = np.zeros((laid_out.shape[1], laid_out.shape[1], 3))
    square[: laid_out.shape[0]] = laid_out
    with open(path, "wb") as file:
        file.write(pictures.png(np.uint8((square * 255).clip(0, 255))))
