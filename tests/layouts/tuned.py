"""Layouts that ``schemas/drafting`` was tuned on."""

from typing import Final

from tests.layouts.layout import Layout, layout

#: A vendor that writes English in full.
ENGLISH: Final = layout(
    "birth_registration",
    """
    registration_id  bigint  -  same:id
    registration_no  varchar(30)  so  text
    book_no  varchar(20)  quyenSo  text
    page_no  integer  trangSo  number
    registration_date  date  ngayDangKy  iso
    registration_type  varchar(50)  loaiDangKy  kind
    commune_code  char(5)  noiDangKy  code
    signer_name  varchar(100)  nguoiKy  text
    signer_title  varchar(100)  chucVuNguoiKy  text
    performed_by  varchar(100)  nguoiThucHien  text
    child_full_name  varchar(100)  nksHoTen  text
    child_gender  varchar(20)  nksGioiTinh  gender
    child_date_of_birth  varchar(10)  nksNgaySinh  d/M/y
    place_of_birth  varchar(255)  nksNoiSinh  text
    hometown  varchar(255)  nksQueQuan  text
    child_ethnicity  varchar(50)  nksDanToc  ethnic
    child_nationality  varchar(50)  nksQuocTich  country
    personal_id_number  varchar(12)  -  same:personal_id
    mother_full_name  varchar(100)  meHoTen  text
    mother_date_of_birth  varchar(10)  meNgaySinh  d/M/y
    mother_ethnicity  varchar(50)  meDanToc  ethnic
    mother_nationality  varchar(50)  meQuocTich  country
    mother_residence  varchar(255)  meNoiCuTru  text
    mother_id_number  varchar(20)  meSoGiayToTuyThan  text
    father_full_name  varchar(100)  chaHoTen  text
    father_date_of_birth  varchar(10)  chaNgaySinh  d/M/y
    father_ethnicity  varchar(50)  chaDanToc  ethnic
    father_nationality  varchar(50)  chaQuocTich  country
    father_residence  varchar(255)  chaNoiCuTru  text
    father_id_number  varchar(20)  chaSoGiayToTuyThan  text
    applicant_name  varchar(100)  nycHoTen  text
    applicant_relationship  varchar(50)  nycQuanHe  text
    notes  text  ghiChu  text
    attachment_path  varchar(200)  -  same:file
    status  integer  -  same:status
    created_by  varchar(50)  -  same:user
    created_at  timestamp  -  same:created
    updated_at  timestamp  -  same:updated
    """,
)

#: One that abbreviates Vietnamese.
ABBREVIATED: Final = layout(
    "KS_DATA",
    """
    ID  bigint  -  same:id
    SoDK  varchar(30)  so  text
    QSo  varchar(20)  quyenSo  text
    TrSo  varchar(10)  trangSo  text
    NgDK  varchar(10)  ngayDangKy  d/M/y
    LoaiDK  char(1)  loaiDangKy  code
    MaXa  char(5)  noiDangKy  code
    NgKy  varchar(100)  nguoiKy+chucVuNguoiKy  text
    HTKS  varchar(100)  nksHoTen  caps
    GT  char(1)  nksGioiTinh  code
    NgS  varchar(10)  nksNgaySinh  d/M/y
    NgS_Chu  varchar(200)  nksNgaySinhBangChu  text
    NS  varchar(255)  nksNoiSinh  text
    QQ  varchar(255)  nksQueQuan  text
    DT  char(2)  nksDanToc  code
    QT  char(2)  nksQuocTich  code
    SDD  varchar(12)  -  same:personal_id
    HTMe  varchar(100)  meHoTen  caps
    NgSMe  varchar(10)  meNgaySinh  d/M/y
    DTMe  char(2)  meDanToc  code
    QTMe  char(2)  meQuocTich  code
    CTMe  varchar(255)  meNoiCuTru  text
    CMNDMe  varchar(20)  meSoGiayToTuyThan  text
    HTCha  varchar(100)  chaHoTen  caps
    NgSCha  varchar(10)  chaNgaySinh  d/M/y
    DTCha  char(2)  chaDanToc  code
    QTCha  char(2)  chaQuocTich  code
    CTCha  varchar(255)  chaNoiCuTru  text
    CMNDCha  varchar(20)  chaSoGiayToTuyThan  text
    GC  varchar(255)  ghiChu  text
    TT  smallint  -  same:status
    NgTao  timestamp  -  same:created
    """,
)

#: An export whose columns are only numbered.
NUMBERED: Final = layout(
    "tbl_dulieu",
    """
    stt  bigint  -  same:id
    c01  varchar(255)  so  text
    c02  varchar(255)  quyenSo  text
    c03  varchar(255)  trangSo  text
    c04  varchar(255)  ngayDangKy  d/M/y
    c05  varchar(255)  loaiDangKy  kind
    c06  varchar(255)  noiDangKy  code
    c07  varchar(255)  nguoiKy  text
    c08  varchar(255)  chucVuNguoiKy  text
    c09  varchar(255)  nksHoTen  text
    c10  varchar(255)  nksGioiTinh  gender
    c11  varchar(255)  nksNgaySinh  d/M/y
    c12  varchar(255)  nksNoiSinh  text
    c13  varchar(255)  nksQueQuan  text
    c14  varchar(255)  nksDanToc  ethnic
    c15  varchar(255)  nksQuocTich  country
    c16  varchar(255)  meHoTen  text
    c17  varchar(255)  meNgaySinh  d/M/y
    c18  varchar(255)  meDanToc  ethnic
    c19  varchar(255)  meNoiCuTru  text
    c20  varchar(255)  meSoGiayToTuyThan  text
    c21  varchar(255)  chaHoTen  text
    c22  varchar(255)  chaNgaySinh  d/M/y
    c23  varchar(255)  chaDanToc  ethnic
    c24  varchar(255)  chaNoiCuTru  text
    c25  varchar(255)  chaSoGiayToTuyThan  text
    """,
)

TUNED: Final[dict[str, Layout]] = {
    "english": ENGLISH,
    "abbreviated": ABBREVIATED,
    "numbered": NUMBERED,
}
