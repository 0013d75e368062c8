"""Clean Pixel Data and Clean Recognizable Visual Features (PS3.15 E.3.1, E.3.2)."""

from osler.deidentify.dicom.burned_in.boxes import Box
from osler.deidentify.dicom.burned_in.cleaning import CleanedPixels, clean_pixels
from osler.deidentify.dicom.burned_in.looking import Region
from osler.deidentify.dicom.burned_in.ocr import PackagedReader, TextReader

__all__ = ["Box", "CleanedPixels", "PackagedReader", "Region", "TextReader", "clean_pixels"]
