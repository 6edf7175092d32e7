"""Parts of run_gpu_study.py."""
