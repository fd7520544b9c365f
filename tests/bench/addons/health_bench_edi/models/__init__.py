from . import edi_process_result
