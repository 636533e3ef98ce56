"""The 120 departments of the demo's invented city hall, in Korean and English, larger ones marked by their weight."""

from __future__ import annotations

from typing import NamedTuple


class Department(NamedTuple):
    """A department: its code, its names, and how many people work there relative to others."""

    code: str
    name: str
    english: str
    weight: int


_NAMES = """
기획담당관 Planning 14|예산담당관 Budget 10|조직담당관 Organisation 6|법무담당관 Legal affairs 8
평가담당관 Evaluation 5|감사담당관 Audit 10|조사담당관 Investigation 6|대변인실 Spokesperson 12
홍보담당관 Public relations 11|국제협력과 International affairs 6|총무과 General affairs 14|인사과 Personnel 12
인재개발과 Training 9|자치행정과 Local administration 9|민원담당관 Civil petitions 16
정보공개과 Freedom of information 6|기록물관리과 Archives 5|재무과 Treasury 10|계약심사과 Contract review 7
자산관리과 Public assets 6|세제과 Tax policy 8|세무과 Taxation 18|체납징수과 Tax collection 13
디지털정책과 Digital policy 16|인공지능행정과 AI administration 15|데이터담당관 Data 13
정보시스템과 Information systems 18|정보통신과 Communications 10|정보보호과 Information security 9
공간정보과 Spatial data 8|경제정책과 Economic policy 11|일자리정책과 Employment 9|소상공인과 Small business 9
노동정책과 Labour 7|창업정책과 Start-ups 8|산업입지과 Industrial sites 5|금융산업과 Finance industry 5
바이오산업과 Biotech industry 5|농수산유통과 Farm and fish markets 6|공정경제과 Fair trade 6
관광정책과 Tourism policy 8|관광산업과 Tourism industry 6|문화정책과 Culture policy 9|문화예술과 Arts 8
문화유산과 Heritage 7|디자인정책과 Design 6|체육정책과 Sports policy 6|체육시설과 Sports facilities 9
도서관정책과 Libraries 9|박물관과 Museums 8|평생교육과 Lifelong learning 6|청소년정책과 Youth 6
청년정책과 Young adults 7|양성평등과 Gender equality 6|가족정책과 Families 6|아동정책과 Children 7
보육정책과 Child care 8|저출생대책과 Birth rate 5|외국인주민과 Foreign residents 5|복지정책과 Welfare policy 12
돌봄복지과 Care services 9|자활지원과 Self-support 6|노인복지과 Senior citizens 9
장애인복지과 Disability welfare 9|1인가구과 Single households 4|공공의료과 Public medicine 8
감염병관리과 Infectious diseases 9|건강증진과 Health promotion 8|정신건강과 Mental health 6
식품정책과 Food safety 8|동물보호과 Animal protection 5|보건환경연구원 Health and environment institute 24
교통정책과 Transport policy 11|버스정책과 Buses 9|택시정책과 Taxis 6|도시철도과 Urban rail 8
주차계획과 Parking 6|교통운영과 Traffic operations 10|보행자전거과 Walking and cycling 6|물류정책과 Logistics 5
도로계획과 Road planning 8|도로관리과 Road maintenance 12|도로시설과 Road facilities 9|교량안전과 Bridges 7
안전총괄과 Safety 10|재난상황과 Disaster control 9|중대재해예방과 Accident prevention 6
소방행정과 Fire administration 16|화재예방과 Fire prevention 14|현장대응과 Emergency response 22
기후환경과 Climate 9|대기정책과 Air quality 7|친환경차량과 Clean vehicles 6|자원순환과 Recycling 8
생활환경과 Living environment 7|녹색에너지과 Green energy 7|물순환정책과 Water cycle 6|하천관리과 Rivers 7
치수안전과 Flood control 7|상수도행정과 Waterworks 20|정수관리과 Water treatment 15|급수관리과 Water supply 13
공원조성과 Park building 7|공원여가과 Park life 7|조경과 Landscaping 6|자연생태과 Ecology 5
도시계획과 Urban planning 12|도시관리과 Urban management 9|토지관리과 Land 8|부동산정책과 Real estate 7
건축기획과 Architecture 9|건축안전과 Building safety 8|주택정책과 Housing policy 10|공공주택과 Public housing 8
주거정비과 Redevelopment 8|도시재생과 Urban renewal 7|역세권개발과 Station areas 5
균형발전과 Balanced development 5|시설계획과 Facility planning 6|인권담당관 Human rights 4
"""


def _parse() -> tuple[Department, ...]:
    found = []
    for number, entry in enumerate(_NAMES.strip().replace("\n", "|").split("|"), 1):
        name, _, rest = entry.partition(" ")
        english, _, weight = rest.rpartition(" ")
        found.append(Department(f"D{number:03d}", name, english, int(weight)))
    return tuple(found)


DEPARTMENTS = _parse()
BY_CODE = {department.code: department for department in DEPARTMENTS}
