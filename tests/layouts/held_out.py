"""Layouts held out: written before ``schemas/drafting`` was, and never looked at while it was tuned.

Whoever tunes further: do it on ``tuned.py``, and run these only to measure. A layout that was tuned on moves
there, and a new one takes its place here.
"""

from typing import Final

from tests.layouts.layout import Layout, layout

#: Small letters run together, no accents, a prefix of the module and suffixes of persons.
GLUED: Final = layout(
    "hotich_ks_sokhaisinh",
    """
    ks_id  bigint  -  same:id
    ks_madonvi  char(5)  noiDangKy  code
    ks_sohieu  varchar(30)  so  text
    ks_quyenso  varchar(20)  quyenSo  text
    ks_tranghso  varchar(10)  trangSo  text
    ks_ngaydangky  date  ngayDangKy  iso
    ks_hinhthucdk  varchar(60)  loaiDangKy  kind
    ks_hoten  varchar(100)  nksHoTen  caps
    ks_phai  varchar(10)  nksGioiTinh  gender
    ks_ngaysinh  varchar(10)  nksNgaySinh  d-M-y
    ks_noisinh  varchar(255)  nksNoiSinh  text
    ks_nguyenquan  varchar(255)  nksQueQuan  text
    ks_dantoc  varchar(40)  nksDanToc  ethnic
    ks_quoctich  varchar(40)  nksQuocTich  country
    ks_madinhdanh  varchar(20)  -  same:personal_id
    ks_hotencha  varchar(100)  chaHoTen  caps
    ks_namsinhcha  smallint  chaNgaySinh  year
    ks_dantoccha  varchar(40)  chaDanToc  ethnic
    ks_quoctichcha  varchar(40)  chaQuocTich  country
    ks_diachicha  varchar(255)  chaNoiCuTru  text
    ks_giaytocha  varchar(20)  chaSoGiayToTuyThan  text
    ks_hotenme  varchar(100)  meHoTen  caps
    ks_namsinhme  smallint  meNgaySinh  year
    ks_dantocme  varchar(40)  meDanToc  ethnic
    ks_quoctichme  varchar(40)  meQuocTich  country
    ks_diachime  varchar(255)  meNoiCuTru  text
    ks_giaytome  varchar(20)  meSoGiayToTuyThan  text
    ks_nguoikhai  varchar(100)  nycHoTen  text
    ks_quanhe  varchar(40)  nycQuanHe  text
    ks_canbotuphap  varchar(100)  nguoiThucHien  text
    ks_nguoiky  varchar(100)  nguoiKy  text
    ks_chucdanh  varchar(60)  chucVuNguoiKy  text
    ks_sodienthoai  varchar(20)  -  same:phone
    ks_tinhtrang  smallint  -  same:status
    ks_nguoinhap  varchar(40)  -  same:user
    ks_ngaynhap  timestamp  -  same:created
    ks_ngaysua  timestamp  -  same:updated
    """,
)

#: Terse English in capitals, codes, and type marks at the end of each name.
TERSE: Final = layout(
    "BRTH_REG_MST",
    """
    BRTH_SEQ  bigint  -  same:id
    REG_YR  smallint  -  same:year
    CERT_NO  varchar(30)  so  text
    VOL_NO  varchar(20)  quyenSo  text
    PG_NO  varchar(10)  trangSo  text
    REG_DT  char(8)  ngayDangKy  ymd
    REG_TP_CD  char(1)  loaiDangKy  code
    REG_WARD_CD  char(5)  noiDangKy  code
    CHLD_NM  varchar(100)  nksHoTen  text
    CHLD_SEX  char(1)  nksGioiTinh  code
    CHLD_BRTH_DT  varchar(8)  nksNgaySinh  ymd
    CHLD_BRTH_PLC  varchar(255)  nksNoiSinh  text
    CHLD_NATIVE_PLC  varchar(255)  nksQueQuan  text
    CHLD_ETHN_CD  char(2)  nksDanToc  code
    CHLD_NATL_CD  char(2)  nksQuocTich  code
    CHLD_PID  varchar(12)  -  same:personal_id
    MTHR_NM  varchar(100)  meHoTen  text
    MTHR_BRTH_DT  varchar(8)  meNgaySinh  ymd
    MTHR_ETHN_CD  char(2)  meDanToc  code
    MTHR_NATL_CD  char(2)  meQuocTich  code
    MTHR_ADDR  varchar(255)  meNoiCuTru  text
    MTHR_DOC_TP  char(1)  meLoaiGiayToTuyThan  code
    MTHR_DOC_NO  varchar(20)  meSoGiayToTuyThan  text
    FTHR_NM  varchar(100)  chaHoTen  text
    FTHR_BRTH_DT  varchar(8)  chaNgaySinh  ymd
    FTHR_ETHN_CD  char(2)  chaDanToc  code
    FTHR_NATL_CD  char(2)  chaQuocTich  code
    FTHR_ADDR  varchar(255)  chaNoiCuTru  text
    FTHR_DOC_TP  char(1)  chaLoaiGiayToTuyThan  code
    FTHR_DOC_NO  varchar(20)  chaSoGiayToTuyThan  text
    DECL_NM  varchar(100)  nycHoTen  text
    DECL_REL  varchar(40)  nycQuanHe  text
    SIGN_NM  varchar(100)  nguoiKy  text
    SIGN_POS  varchar(60)  chucVuNguoiKy  text
    RMK  varchar(255)  ghiChu  text
    DEL_YN  char(1)  -  same:old
    REG_USR_ID  varchar(20)  -  same:user
    UPD_DTM  timestamp  -  same:updated
    """,
)

#: Names that say nothing, and the vendor's own words as comments.
COMMENTED: Final = layout(
    "T0231",
    """
    F000  bigint  -  same:id -- Khóa chính
    F001  varchar(30)  so  text -- Số
    F002  varchar(20)  quyenSo  text -- Quyển số
    F003  varchar(10)  trangSo  text -- Trang
    F004  varchar(10)  ngayDangKy  d.M.y -- Ngày vào sổ
    F005  varchar(60)  loaiDangKy  kind -- Trường hợp đăng ký (đúng hạn, quá hạn, đăng ký lại)
    F006  char(5)  noiDangKy  code -- Mã đơn vị (UBND xã) đăng ký
    F010  varchar(100)  nksHoTen  caps -- Họ, chữ đệm và tên của trẻ
    F011  integer  nksGioiTinh  male -- Giới tính: 1 nam, 0 nữ
    F012  varchar(10)  nksNgaySinh  d.M.y -- Sinh ngày
    F013  varchar(200)  nksNgaySinhBangChu  text -- Ghi bằng chữ
    F014  varchar(255)  nksNoiSinh  text -- Nơi sinh
    F015  varchar(255)  nksQueQuan  text -- Quê quán
    F016  varchar(40)  nksDanToc  ethnic -- Dân tộc
    F017  varchar(40)  nksQuocTich  country -- Quốc tịch
    F018  varchar(12)  -  same:personal_id -- Số định danh cá nhân
    F020  varchar(100)  meHoTen  caps -- Họ tên người mẹ
    F021  varchar(10)  meNgaySinh  d.M.y -- Năm sinh của mẹ
    F022  varchar(40)  meDanToc  ethnic -- Dân tộc của mẹ
    F023  varchar(40)  meQuocTich  country -- Quốc tịch của mẹ
    F024  varchar(255)  meNoiCuTru  text -- Nơi cư trú của mẹ
    F025  varchar(60)  meLoaiGiayToTuyThan  paper -- Loại giấy tờ tùy thân (mẹ)
    F026  varchar(20)  meSoGiayToTuyThan  text -- Số giấy tờ (mẹ)
    F030  varchar(100)  chaHoTen  caps -- Họ tên người cha
    F031  varchar(10)  chaNgaySinh  d.M.y -- Năm sinh của cha
    F032  varchar(40)  chaDanToc  ethnic -- Dân tộc của cha
    F033  varchar(40)  chaQuocTich  country -- Quốc tịch của cha
    F034  varchar(255)  chaNoiCuTru  text -- Nơi cư trú của cha
    F035  varchar(60)  chaLoaiGiayToTuyThan  paper -- Loại giấy tờ tùy thân (cha)
    F036  varchar(20)  chaSoGiayToTuyThan  text -- Số giấy tờ (cha)
    F040  varchar(100)  nycHoTen  text -- Người đi khai sinh
    F041  varchar(40)  nycQuanHe  text -- Quan hệ với trẻ
    F042  varchar(20)  nycSoGiayToTuyThan  text -- Số CMND/CCCD người đi khai
    F050  varchar(100)  nguoiKy+chucVuNguoiKy  text -- Người ký giấy khai sinh, chức vụ
    F051  varchar(100)  nguoiThucHien  text -- Cán bộ hộ tịch
    F060  integer  -  same:status -- Trạng thái bản ghi
    F061  timestamp  -  same:updated -- Ngày cập nhật cuối
    """,
)

#: Only numbered, the father before the mother, the signer at the end, dates without separators.
NUMBERED_OTHERWISE: Final = layout(
    "data_import_2009",
    """
    row_id  bigint  -  same:id
    col1  varchar(255)  noiDangKy  code
    col2  varchar(255)  quyenSo  text
    col3  varchar(255)  so  text
    col4  varchar(255)  ngayDangKy  ymd
    col5  varchar(255)  nksHoTen  caps
    col6  varchar(255)  nksNgaySinh  ymd
    col7  varchar(255)  nksGioiTinh  gender
    col8  varchar(255)  nksDanToc  ethnic
    col9  varchar(255)  nksQuocTich  country
    col10  varchar(255)  nksNoiSinh  text
    col11  varchar(255)  nksQueQuan  text
    col12  varchar(255)  chaHoTen  caps
    col13  varchar(255)  chaNgaySinh  ymd
    col14  varchar(255)  chaDanToc  ethnic
    col15  varchar(255)  chaNoiCuTru  text
    col16  varchar(255)  meHoTen  caps
    col17  varchar(255)  meNgaySinh  ymd
    col18  varchar(255)  meDanToc  ethnic
    col19  varchar(255)  meNoiCuTru  text
    col20  varchar(255)  nguoiKy  text
    col21  varchar(255)  chucVuNguoiKy  text
    col22  varchar(255)  loaiDangKy  kind
    """,
)

#: Births.
HELD_OUT: Final[dict[str, Layout]] = {
    "glued": GLUED,
    "terse": TERSE,
    "commented": COMMENTED,
    "numbered otherwise": NUMBERED_OTHERWISE,
}

#: A marriage register with type marks before each name (SQL Server style).
MARRIAGES: Final = layout(
    "tblDangKyKetHon",
    """
    bigID  bigint  -  same:id
    strSo  varchar(30)  so  text
    strQuyenSo  varchar(20)  quyenSo  text
    dtNgayDangKy  date  ngayDangKy  iso
    intLoaiDangKy  smallint  loaiDangKy  number
    strMaXa  char(5)  noiDangKy  code
    strNguoiKy  varchar(100)  nguoiKy  text
    strChucVu  varchar(60)  chucVuNguoiKy  text
    strHoTenChong  varchar(100)  chongHoTen  text
    strNgaySinhChong  varchar(10)  chongNgaySinh  d/M/y
    strDanTocChong  varchar(40)  chongDanToc  ethnic
    strQuocTichChong  varchar(40)  chongQuocTich  country
    strDiaChiChong  varchar(255)  chongNoiCuTru  text
    strCMNDChong  varchar(20)  chongSoGiayToTuyThan  text
    strNgayCapChong  varchar(10)  chongNgayCapGiayToTuyThan  d/M/y
    strNoiCapChong  varchar(100)  chongNoiCapGiayToTuyThan  text
    strHoTenVo  varchar(100)  voHoTen  text
    strNgaySinhVo  varchar(10)  voNgaySinh  d/M/y
    strDanTocVo  varchar(40)  voDanToc  ethnic
    strQuocTichVo  varchar(40)  voQuocTich  country
    strDiaChiVo  varchar(255)  voNoiCuTru  text
    strCMNDVo  varchar(20)  voSoGiayToTuyThan  text
    strNgayCapVo  varchar(10)  voNgayCapGiayToTuyThan  d/M/y
    strNoiCapVo  varchar(100)  voNoiCapGiayToTuyThan  text
    bitDuLieuCu  smallint  -  same:old
    dtNgayTao  timestamp  -  same:created
    """,
)

#: A death register in Vietnamese words with underscores.
DEATHS: Final = layout(
    "so_khai_tu",
    """
    ma_ban_ghi  bigint  -  same:id
    so_dang_ky  varchar(30)  so  text
    so_quyen  varchar(20)  quyenSo  text
    ngay_vao_so  varchar(10)  ngayDangKy  d/M/y
    don_vi_dang_ky  char(5)  noiDangKy  code
    ho_ten_nguoi_mat  varchar(100)  nktHoTen  caps
    gioi_tinh  varchar(10)  nktGioiTinh  gender
    nam_sinh  smallint  nktNgaySinh  year
    dan_toc  varchar(40)  nktDanToc  ethnic
    quoc_tich  varchar(40)  nktQuocTich  country
    thuong_tru  varchar(255)  nktNoiCuTru  text
    so_cmnd  varchar(20)  nktSoGiayToTuyThan  text
    ngay_mat  varchar(10)  nktNgayChet  d/M/y
    gio_mat  varchar(5)  nktGioPhutChet  code
    noi_mat  varchar(255)  nktNoiChet  text
    nguyen_nhan  varchar(100)  nktNguyenNhanChet  text
    so_giay_bao_tu  varchar(20)  gbtSo  text
    ngay_giay_bao_tu  varchar(10)  gbtNgay  d/M/y
    noi_cap_giay_bao_tu  varchar(100)  gbtCoQuanCap  text
    nguoi_khai  varchar(100)  nycHoTen  text
    quan_he  varchar(40)  nycQuanHe  text
    so_cmnd_nguoi_khai  varchar(20)  nycSoGiayToTuyThan  text
    nguoi_ky  varchar(100)  nguoiKy  text
    chuc_vu  varchar(60)  chucVuNguoiKy  text
    trang_thai  smallint  -  same:status
    """,
)
