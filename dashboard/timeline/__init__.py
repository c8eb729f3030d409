"""The image timeline and the sheets of thumbnails behind it."""
