#ifndef CVIEWPAGE_H
#define CVIEWPAGE_H

#include <stddef.h>

/// A file of the page of mitm-view.
struct view_page_file {
    const char *_Nonnull name;
    const unsigned char *_Nonnull bytes;
    size_t size;
};

int view_page_count(void);
/// - Parameter index: from 0 to view_page_count() - 1.
struct view_page_file view_page_file(int index);

#endif
