"""What the report says besides the figures, Vietnamese and English."""

from collections.abc import Mapping

from schemas.reasons import Language

PAGE: Mapping[Language, Mapping[str, str]] = {
    "vi": {
        "kicker": "Liên thông · sơ đồ thể chế dữ liệu của tỉnh",
        "title": "Cơ sở dữ liệu nào của tỉnh có nguy cơ mồ côi",
        "when": "Lập lúc {at} (giờ Việt Nam)",
        "intro": "Một cơ sở dữ liệu mồ côi khi định dạng quốc gia đi tiếp mà không có nó. Chỉ"
        " số từ 0 đến 100: 0 là không thể mồ côi mà không ai hay, 100 là không có gì"
        " bảo vệ nó.",
        "problem": "Không hỏi được kho dữ liệu quốc gia",
        "problem means": "Cập nhật, lệch và xu hướng vì vậy là chưa biết; không số cũ nào được đưa ra"
        " thay. Phần đáp ứng định dạng đọc từ hợp đồng dữ liệu và vẫn đúng. Chỉ số ghi"
        " “≥” là phần đã biết.",
        "no past": "Không đọc được chỉ số các ngày trước",
        "no past means": "Xu hướng vì vậy là chưa biết, và chỉ số hôm nay không được giữ lại; mọi phần khác"
        " vẫn đúng.",
        "step": "Việc cần làm: {step}",
        "systems": "cơ sở dữ liệu",
        "datasets": "tập dữ liệu theo định dạng",
        "owners": "đơn vị giữ dữ liệu",
        "spread": "Phân bố theo mức",
        "course": "Chỉ số trung bình của tỉnh theo ngày",
        "first": "Việc cần làm trước tiên",
        "every": "Từng cơ sở dữ liệu",
        "data": "Dữ liệu → định dạng quốc gia",
        "cover": "Đáp ứng",
        "fresh": "Cập nhật",
        "drift": "Lệch",
        "index": "Chỉ số",
        "next": "Xu hướng · việc cần làm",
        "proposal": "tỉnh đề xuất",
        "no trend": "chưa đủ ngày để thấy xu hướng",
        "trend unknown": "chưa biết xu hướng",
        "since": "{change} so với {day}",
        "same": "không đổi từ {day}",
        "inbound": "Cơ sở dữ liệu nhận từ định dạng quốc gia",
        "inbound means": "Các hệ thống này nhận dữ liệu quốc gia về tỉnh; chúng không có chỉ số riêng.",
        "receives": "nhận {format}",
        "method": "Cách tính",
        "sum": "Chỉ số là tổng có trọng số của bốn nguy cơ, làm tròn lên. Hệ thống có nhiều"
        " tập dữ liệu mang chỉ số của tập kém nhất, vì số trung bình che mất tập đang"
        " bị bỏ rơi. Trọng số là lựa chọn của tỉnh (LIENTHONG_ORPHAN_WEIGHTS).",
        "coverage means": "Trọn nguy cơ khi bản định dạng mới nhất bắt buộc một trường mà không quy tắc"
        " nào lấy được; còn không, nửa tỷ lệ trường để trống.",
        "freshness means": "Không có nguy cơ đến {good} ngày kể từ thay đổi gần nhất được ghi vào kho,"
        " tăng đều đến trọn vẹn ở {gone} ngày; trọn vẹn khi chưa dùng bản định dạng"
        " mới nhất.",
        "matched means": "Tỷ lệ dòng khác nhau ở lần đối soát gần nhất; trọn vẹn từ {share} %, hoặc"
        " khi chưa từng đối soát.",
        "proof means": "Không có nguy cơ đến {good} ngày kể từ lần đối soát gần nhất, tăng đều đến"
        " trọn vẹn ở {gone} ngày.",
        "points": "{points} điểm",
        "footer": "lienthong {version} · triển khai {deployment} · trang này không chứa dữ liệu cá nhân.",
        "at least": "≥ {value}",
    },
    "en": {
        "kicker": "Liên thông · the province's institutional map of data",
        "title": "Which of the province's databases may become orphans",
        "when": "Made at {at} (Vietnam time)",
        "intro": "A database becomes an orphan when the national format goes on without it."
        " The index runs from 0 to 100: at 0 it cannot become an orphan unnoticed, at"
        " 100 nothing protects it.",
        "problem": "The national store could not be asked",
        "problem means": "Freshness, drift and trend are therefore not known; no old figure stands in"
        " their place. Coverage is read from the contracts and holds. An index with"
        " “≥” is the part that is known.",
        "no past": "The indices of past days could not be read",
        "no past means": "The trend is therefore not known, and today's index was not kept; all else holds.",
        "step": "Next step: {step}",
        "systems": "databases",
        "datasets": "datasets by format",
        "owners": "owners",
        "spread": "By level",
        "course": "The province's mean index, day by day",
        "first": "What to do first",
        "every": "Every database",
        "data": "Data → national format",
        "cover": "Coverage",
        "fresh": "Freshness",
        "drift": "Drift",
        "index": "Index",
        "next": "Trend · what to do next",
        "proposal": "the province's proposal",
        "no trend": "too few days for a trend",
        "trend unknown": "trend not known",
        "since": "{change} since {day}",
        "same": "the same since {day}",
        "inbound": "Databases that receive from national formats",
        "inbound means": "These bring national data back to the province; they have no index of their own.",
        "receives": "receives {format}",
        "method": "How it is counted",
        "sum": "The index is the weighted sum of four risks, rounded up. A system of several"
        " datasets has the index of its worst one, for a mean would hide the one that"
        " is being lost. The weights are the province's choice"
        " (LIENTHONG_ORPHAN_WEIGHTS).",
        "coverage means": "Whole if the newest version of the format requires a field that no rule"
        " obtains; otherwise half the share of fields left empty.",
        "freshness means": "None up to {good} days after the last change written to the store, rising"
        " evenly until it is whole at {gone} days; whole if the newest version of the"
        " format is not fed.",
        "matched means": "The share of rows that differed at the last proof; whole from {share} % on,"
        " or if there was never a proof.",
        "proof means": "None up to {good} days after the last proof, rising evenly until it is whole"
        " at {gone} days.",
        "points": "{points} points",
        "footer": "lienthong {version} · deployment {deployment} · this page holds no personal data.",
        "at least": "≥ {value}",
    },
}
