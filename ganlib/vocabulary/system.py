"""Metrics of the machine, beside those of a loop of somebody's own."""

from ganlib.vocabulary.metric import Metric

CPU = Metric("system/cpu", "CPU", "Share of all cores' time that was busy since the value before.", unit="%")
MEMORY = Metric("system/memory", "Memory", "Share of the machine's memory that is in use.", unit="%")
PROCESS_MEMORY = Metric(
    "system/process_memory", "Memory of the loop", "Memory that the loop's own process holds.", unit="GiB"
)
GPU = Metric(
    "system/gpu_{number}", "GPU {number}", "Share of the time in which GPU {number} was computing.", unit="%"
)
GPU_MEMORY = Metric(
    "system/gpu_{number}_memory", "Memory of GPU {number}", "Memory of GPU {number} that is in use.", unit="GiB"
)
