//! What names, titles and texts are made of. People, organisations and campaigns are invented.

use crate::domain::campanha::Category;

pub(super) const FIRST_NAMES: &[&str] = &[
    "Adriana", "Aline", "Amanda", "Ana", "Antônio", "Beatriz", "Bruno", "Camila", "Carlos", "Cecília", "Célia", "Daniel", "Débora", "Diego",
    "Eduardo", "Fábio", "Fernanda", "Flávia", "Francisca", "Gabriel", "Helena", "Heloísa", "Ícaro", "Inês", "Isabela", "Joana", "João",
    "José", "Júlia", "Larissa", "Laura", "Lúcia", "Luís", "Marcelo", "Márcia", "Maria", "Mateus", "Natália", "Otávio", "Patrícia", "Paulo",
    "Rafaela", "Raimundo", "Renata", "Rita", "Rosângela", "Sebastião", "Sílvia", "Sônia", "Tainá", "Tereza", "Thiago", "Vera", "Vinícius",
    "Yara",
];

pub(super) const SURNAMES: &[&str] = &[
    "Almeida", "Alves", "Amaral", "Andrade", "Araújo", "Azevedo", "Barbosa", "Batista", "Borges", "Brandão", "Campos", "Cardoso", "Carvalho",
    "Castro", "Conceição", "Correia", "Costa", "Cruz", "da Silva", "de Jesus", "de Souza", "Dias", "dos Santos", "Duarte", "Farias",
    "Fernandes", "Ferreira", "Figueiredo", "Freitas", "Gomes", "Gonçalves", "Lima", "Lopes", "Macedo", "Machado", "Magalhães", "Marques",
    "Martins", "Melo", "Mendes", "Miranda", "Monteiro", "Moraes", "Moreira", "Moura", "Nascimento", "Nogueira", "Nunes", "Oliveira",
    "Pereira", "Pinheiro", "Pires", "Ramos", "Ribeiro", "Rocha", "Rodrigues", "Sales", "Teixeira", "Vasconcelos", "Vieira",
];

pub(super) const CITIES: &[&str] = &[
    "Aracaju", "Belém", "Belo Horizonte", "Boa Vista", "Brasília", "Campina Grande", "Campinas", "Caruaru", "Cuiabá", "Curitiba",
    "Feira de Santana", "Florianópolis", "Fortaleza", "Goiânia", "João Pessoa", "Juiz de Fora", "Londrina", "Macapá", "Maceió", "Manaus",
    "Natal", "Niterói", "Palmas", "Pelotas", "Porto Alegre", "Porto Velho", "Recife", "Rio Branco", "Salvador", "Santarém", "São Luís",
    "São Paulo", "Sorocaba", "Teresina", "Uberlândia", "Vitória",
];

pub(super) const ORGANISATION_KINDS: &[&str] = &["Associação", "Instituto", "Coletivo", "Rede", "Fundação", "Casa"];

pub(super) const ORGANISATION_NAMES: &[&str] = &[
    "Mãos à Obra", "Semente do Amanhã", "Pão e Poesia", "Quintal de Todos", "Patas e Carinho", "Rio Limpo", "Ponte de Abraços",
    "Roda de Leitura", "Sol Nascente", "Horta Viva", "Bola na Rede", "Voz da Vizinhança", "Maré Alta", "Luz da Serra", "Tecendo Laços",
    "Passo Firme", "Cuidar Junto", "Raiz Forte", "Caminho Aberto", "Estrela da Manhã",
];

/// A kind of campaign: category, title, and what the money is for.
pub(super) struct Cause {
    pub(super) category: Category,
    pub(super) title: &'static str,
    pub(super) purpose: &'static str,
}

const fn cause(category: Category, title: &'static str, purpose: &'static str) -> Cause {
    Cause { category, title, purpose }
}

pub(super) const CAUSES: &[Cause] = &[
    cause(Category::Social, "Sopa quente nas noites de inverno", "servir refeições a quem dorme na rua"),
    cause(Category::Saude, "Remédios para quem precisa", "comprar os remédios que o posto de saúde não tem"),
    cause(Category::Educacao, "Mochila cheia na volta às aulas", "montar kits com caderno, lápis, tênis e mochila"),
    cause(Category::Animais, "Castração gratuita de cães e gatos", "castrar e vacinar animais de famílias de baixa renda"),
    cause(Category::MeioAmbiente, "Mil mudas para o nosso rio", "replantar a mata que protege a nascente"),
    cause(Category::Emergencia, "Famílias atingidas pela enchente", "comprar colchões, água e produtos de limpeza"),
    cause(Category::Cultura, "Biblioteca comunitária do bairro", "comprar livros e estantes e pagar o aluguel da sala"),
    cause(Category::Esporte, "Escolinha de futebol das meninas", "comprar chuteiras e pagar a inscrição no campeonato"),
    cause(Category::Outras, "Reforma da sede comunitária", "trocar o telhado e a instalação elétrica"),
    cause(Category::Saude, "Cadeiras de rodas sob medida", "entregar cadeiras ajustadas ao corpo de cada criança"),
    cause(Category::Educacao, "Cursinho popular gratuito", "imprimir apostilas e pagar a passagem dos estudantes"),
    cause(Category::Animais, "Ração para o abrigo de animais", "alimentar os animais resgatados até a adoção"),
    cause(Category::MeioAmbiente, "Mutirão de limpeza da praia", "comprar luvas, sacos e o frete até a cooperativa de reciclagem"),
    cause(Category::Emergencia, "Reconstrução depois do incêndio", "refazer as casas que o fogo levou"),
    cause(Category::Cultura, "Oficina de teatro para jovens", "pagar professores, figurinos e o aluguel do palco"),
    cause(Category::Esporte, "Natação para crianças com deficiência", "alugar raias adaptadas e contratar instrutores"),
    cause(Category::Social, "Cesta básica todo mês", "entregar cestas básicas às famílias cadastradas"),
    cause(Category::Outras, "Internet livre na praça", "instalar e manter um ponto de acesso gratuito"),
    cause(Category::Saude, "Exames de vista nas escolas", "examinar os alunos e entregar os óculos receitados"),
    cause(Category::Educacao, "Alfabetização de adultos", "pagar alfabetizadoras e material das turmas da noite"),
    cause(Category::Animais, "Hospital veterinário solidário", "pagar cirurgias de animais abandonados"),
    cause(Category::MeioAmbiente, "Horta comunitária sem veneno", "comprar sementes, ferramentas e uma cisterna"),
    cause(Category::Emergencia, "Água potável na seca", "contratar carros-pipa e consertar poços"),
    cause(Category::Cultura, "Instrumentos para a orquestra jovem", "comprar violinos, flautas e partituras"),
    cause(Category::Esporte, "Quadra nova para a comunidade", "refazer o piso, as traves e a iluminação"),
    cause(Category::Social, "Agasalhos para o frio", "comprar cobertores e casacos novos"),
    cause(Category::Outras, "Ferramentas para a cooperativa", "equipar a oficina das costureiras"),
    cause(Category::Saude, "Próteses impressas em 3D", "imprimir próteses de mão para quem espera na fila"),
    cause(Category::Educacao, "Robótica na escola pública", "comprar placas, motores e sensores para as turmas"),
    cause(Category::Social, "Casa de acolhida para mulheres", "manter seis vagas com apoio jurídico e psicológico"),
];

pub(super) const OPENINGS: &[&str] = &[
    "Começamos com cinco vizinhas e uma mesa emprestada; hoje somos mais de quarenta pessoas voluntárias.",
    "O pedido veio da própria comunidade, em reunião aberta, e foi votado por quem vive o problema todo dia.",
    "Há três anos fazemos este trabalho com o que sobra do nosso bolso, e a procura não para de crescer.",
    "Quem chega até nós vem pelo boca a boca: uma família ajudada conta para a outra.",
    "No ano passado a fila foi maior do que conseguimos atender, e ninguém deveria ouvir um não.",
    "Trabalhamos junto com a escola, o posto de saúde e a associação de moradores.",
];

pub(super) const PROMISES: &[&str] = &[
    "Publicamos as notas fiscais todo mês, e qualquer pessoa pode visitar o projeto.",
    "Se passarmos da meta, o que sobrar fica para o mesmo projeto no ano que vem.",
    "Cada real é usado aqui mesmo: ninguém da diretoria recebe salário.",
    "Quem doa recebe por e-mail o relatório com fotos e a prestação de contas.",
    "As compras são feitas no comércio do bairro, para o dinheiro circular entre vizinhos.",
];

pub(super) const MESSAGES: &[&str] = &[
    "Força, pessoal! Que nunca falte.",
    "Vocês fazem um trabalho lindo. ❤️",
    "É pouco, mas é de coração.",
    "Em memória da minha avó, que faria o mesmo.",
    "Já fui ajudada por vocês; agora é a minha vez.",
    "Conheço o projeto de perto e confio.",
    "Feliz aniversário, mãe! Este é o seu presente.",
    "Doação da turma do 3º ano B.",
    "Parabéns pela transparência nas contas.",
    "Que mais gente possa contribuir.",
    "Contem comigo todo mês.",
    "Vi no grupo da família e não podia ficar de fora.",
];

pub(super) const REFUND_REASONS: &[&str] =
    &["Valor digitado errado pela pessoa doadora.", "Doação feita para a campanha errada.", "Pedido da pessoa doadora dentro do prazo."];

/// Why a member says that a payment arrived.
pub(super) const DECLARED: &str = "Conferido no extrato do banco.";
