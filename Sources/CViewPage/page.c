// The files of the page of mitm-view. They are a part of the program: nothing is installed beside it.
#include "CViewPage.h"

#pragma clang diagnostic ignored "-Wc23-extensions"

static const unsigned char page_api_js[] = {
#embed "page/api.js"
};
static const unsigned char page_app_js[] = {
#embed "page/app.js"
};
static const unsigned char page_compare_js[] = {
#embed "page/compare.js"
};
static const unsigned char page_content_js[] = {
#embed "page/content.js"
};
static const unsigned char page_details_js[] = {
#embed "page/details.js"
};
static const unsigned char page_dialogs_js[] = {
#embed "page/dialogs.js"
};
static const unsigned char page_dom_js[] = {
#embed "page/dom.js"
};
static const unsigned char page_facets_js[] = {
#embed "page/facets.js"
};
static const unsigned char page_filter_js[] = {
#embed "page/filter.js"
};
static const unsigned char page_follower_js[] = {
#embed "page/follower.js"
};
static const unsigned char page_format_js[] = {
#embed "page/format.js"
};
static const unsigned char page_icon_svg[] = {
#embed "page/icon.svg"
};
static const unsigned char page_index_html[] = {
#embed "page/index.html"
};
static const unsigned char page_list_js[] = {
#embed "page/list.js"
};
static const unsigned char page_messages_js[] = {
#embed "page/messages.js"
};
static const unsigned char page_overview_js[] = {
#embed "page/overview.js"
};
static const unsigned char page_rows_js[] = {
#embed "page/rows.js"
};
static const unsigned char page_style_css[] = {
#embed "page/style.css"
};
static const unsigned char page_virtual_js[] = {
#embed "page/virtual.js"
};

static const struct view_page_file files[] = {
    {"api.js", page_api_js, sizeof page_api_js},
    {"app.js", page_app_js, sizeof page_app_js},
    {"compare.js", page_compare_js, sizeof page_compare_js},
    {"content.js", page_content_js, sizeof page_content_js},
    {"details.js", page_details_js, sizeof page_details_js},
    {"dialogs.js", page_dialogs_js, sizeof page_dialogs_js},
    {"dom.js", page_dom_js, sizeof page_dom_js},
    {"facets.js", page_facets_js, sizeof page_facets_js},
    {"filter.js", page_filter_js, sizeof page_filter_js},
    {"follower.js", page_follower_js, sizeof page_follower_js},
    {"format.js", page_format_js, sizeof page_format_js},
    {"icon.svg", page_icon_svg, sizeof page_icon_svg},
    {"index.html", page_index_html, sizeof page_index_html},
    {"list.js", page_list_js, sizeof page_list_js},
    {"messages.js", page_messages_js, sizeof page_messages_js},
    {"overview.js", page_overview_js, sizeof page_overview_js},
    {"rows.js", page_rows_js, sizeof page_rows_js},
    {"style.css", page_style_css, sizeof page_style_css},
    {"virtual.js", page_virtual_js, sizeof page_virtual_js},
};

int view_page_count(void) { return sizeof files / sizeof files[0]; }

struct view_page_file view_page_file(int index) { return files[index]; }
