using System.Data.Common;
using Dapper;
using UPool.Cluster.Membership;

namespace UPool.Grains;

/// <summary>
/// The properties of <c>tb1</c>, which another program may have created: what a name may hold, and which of this
/// application's guarantees the table cannot keep.
/// </summary>
internal sealed class UserTable
{
    private const string Cure = $"ALTER TABLE {UserSchema.Table} MODIFY";

    private static readonly string[] WholeNumbers = ["tinyint", "smallint", "mediumint", "int", "bigint"];
    private static readonly string[] Texts = ["char", "varchar", "tinytext", "text", "mediumtext", "longtext"];
    private static readonly string[] Bytes = ["varbinary", "tinyblob", "blob", "mediumblob", "longblob"];

    private readonly List<string> _problems = [];
    private readonly List<string> _limits = [];

    private UserTable()
    {
    }

    /// <summary>Whether the table exists and has a column for names.</summary>
    public bool HasName { get; private init; }

    /// <summary>The most characters of a name; the most bytes if the column's length is in bytes.</summary>
    public long MaxLength { get; private init; }

    /// <summary>The most bytes of a statement.</summary>
    public long MaxPacket { get; private init; }

    /// <summary>Whether a rollback undoes writes.</summary>
    public bool IsTransactional { get; private init; }

    /// <summary>Whether a name may end in a space: a CHAR column drops it.</summary>
    public bool KeepsTrailingSpaces { get; private init; } = true;

    /// <summary>Whether an INSERT generates the id of a row and reports it.</summary>
    public bool GivesIds { get; private init; }

    /// <summary>Whether the name column stores any text unchanged.</summary>
    public bool HoldsText { get; private init; }

    /// <summary>Why the users cannot be read, one line each, with the column and the fix. Empty if they can.</summary>
    public IReadOnlyList<string> Problems => _problems;

    /// <summary>The other limitations of this table, one line each, with the fix.</summary>
    public IReadOnlyList<string> Limits => _limits;

    /// <summary>The embedded table, which this project creates; SQLite does not enforce its length.</summary>
    public static UserTable Embedded { get; } = new()
    {
        HasName = true,
        MaxLength = 255,
        MaxPacket = 1_000_000,
        IsTransactional = true,
        GivesIds = true,
        HoldsText = true,
    };

    /// <summary>Reads the properties of the table on MySQL or MariaDB.</summary>
    public static async Task<UserTable> ReadAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        List<Column> columns = (await connection.QueryAsync<Column>(new CommandDefinition(
            UserTableQueries.Columns, cancellationToken: cancellationToken))).AsList();
        var about = await connection.QuerySingleAsync<About>(new CommandDefinition(
            UserTableQueries.About, cancellationToken: cancellationToken));
        Column? id = columns.Find(static column => column.Is("id"));
        Column? name = columns.Find(static column => column.Is("name"));
        var table = new UserTable
        {
            HasName = name is not null,
            MaxLength = name?.MaxLength ?? 0,
            MaxPacket = about.MaxPacket,
            IsTransactional = about.Transactions == "YES",
            KeepsTrailingSpaces = name?.Type is not "char",
            GivesIds = id?.Has("auto_increment") ?? false,
            HoldsText = name is not null && (Texts.Contains(name.Type) || Bytes.Contains(name.Type)),
        };
        if (columns.Count == 0) return table;

        table.JudgeId(id, about);
        table.JudgeName(name, about);
        table.JudgeTheRest(columns, about);
        return table;
    }

    /// <summary>Checks the table and its ids at start.</summary>
    public static async Task<TableFindings> LookAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        UserTable table = await ReadAsync(connection, cancellationToken);
        if (table is { Problems.Count: 0, GivesIds: true } && await HasIdsOutsideAsync(connection, cancellationToken))
        {
            table._limits.Add($"Column tb1.id holds ids below 1 or above {long.MaxValue}: those users are in no list "
                + "and cannot be asked for. Give them other ids.");
        }

        return new TableFindings(table.Problems, table.Limits);
    }

    private static async Task<bool> HasIdsOutsideAsync(DbConnection connection, CancellationToken cancellationToken)
    {
        try
        {
            return await connection.ExecuteScalarAsync<bool>(
                new CommandDefinition(UserTableQueries.IdsOutside, cancellationToken: cancellationToken));
        }
        catch (DbException)
        {
            // An account that may not read the table cannot check its ids.
            return false;
        }
    }

    private void JudgeId(Column? id, About about)
    {
        if (id is null)
        {
            _problems.Add("Table tb1 has no column `id`: users cannot be read. Add it: "
                + "ALTER TABLE tb1 ADD id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY.");
            return;
        }

        bool isWhole = WholeNumbers.Contains(id.Type) || id is { Type: "decimal", Scale: 0 };
        if (!isWhole)
        {
            _problems.Add($"Column tb1.id is {id.FullType}: users cannot be read, for an id is a whole number. "
                + $"Change it: {Cure} id BIGINT NOT NULL AUTO_INCREMENT.");
            return;
        }

        if (about.IsView)
        {
            _limits.Add("tb1 is a view: users can be read, but not created, as a view does not tell the id of a new "
                + "row. Make tb1 the table itself.");
            return;
        }

        if (!GivesIds)
        {
            _limits.Add("Column tb1.id is not AUTO_INCREMENT: users can be read, but not created. "
                + $"Change it: {Cure} id BIGINT NOT NULL AUTO_INCREMENT.");
        }

        if (about.UniqueIndexes == 0)
        {
            _limits.Add("Column tb1.id has no unique index of its own: of several users with one id a list that is "
                + "read in pages may leave some out. Add one: ALTER TABLE tb1 ADD UNIQUE (id).");
        }
    }

    private void JudgeName(Column? name, About about)
    {
        if (name is null)
        {
            _problems.Add("Table tb1 has no column `name`: users cannot be read. Add it: "
                + "ALTER TABLE tb1 ADD name VARCHAR(255) NOT NULL.");
            return;
        }

        if (!HoldsText)
        {
            _limits.Add($"Column tb1.name is {name.FullType}, which does not hold every text as it is given: users can "
                + $"be read, but neither created nor renamed. Change it: {Cure} name VARCHAR(255) NOT NULL.");
        }
        else if (name.Has("GENERATED"))
        {
            _limits.Add("Column tb1.name is generated: users can be read, but neither created nor renamed. "
                + $"Change it: {Cure} name VARCHAR(255) NOT NULL.");
        }

        if (name.Type == "char")
        {
            _limits.Add($"Column tb1.name is {name.FullType}, which drops spaces at the end: names that end in one are "
                + $"refused. To take them: {Cure} name VARCHAR({name.MaxLength}) NOT NULL.");
            if (about.SqlMode.Contains("PAD_CHAR_TO_FULL_LENGTH", StringComparison.Ordinal))
            {
                _limits.Add($"Column tb1.name is {name.FullType} and the server's sql_mode has "
                    + "PAD_CHAR_TO_FULL_LENGTH: every name is read with spaces at its end. Take it out of sql_mode.");
            }
        }
    }

    private void JudgeTheRest(List<Column> columns, About about)
    {
        if (about is { IsView: false, Transactions: not "YES" })
        {
            _limits.Add($"Table tb1 is NOT TRANSACTIONAL (engine {about.Engine}): 'all or nothing' cannot be kept, so "
                + "POST /user/batch takes one user at a time. Change it: ALTER TABLE tb1 ENGINE = InnoDB.");
        }

        string[] required = [.. columns.Where(static column => column.IsRequired).Select(static column => column.Name)];
        if (required.Length > 0 && about.InsertTriggers == 0)
        {
            _limits.Add($"Table tb1 has columns without a default ({string.Join(", ", required)}): users can be read, "
                + "but not created. Give each a default, or let it be NULL.");
        }
    }

    private sealed class Column
    {
        public string Name { get; init; } = "";

        public string Type { get; init; } = "";

        public string FullType { get; init; } = "";

        public long? MaxLength { get; init; }

        public long? Scale { get; init; }

        public string Nullable { get; init; } = "";

        public string? Default { get; init; }

        public string Extra { get; init; } = "";

        // An ENUM without a default has an implicit one: its first value.
        public bool IsRequired => !Is("id") && !Is("name") && Nullable == "NO" && Default is null && Type != "enum"
            && !Has("auto_increment") && !Has("GENERATED");

        public bool Is(string name) => Name.Equals(name, StringComparison.OrdinalIgnoreCase);

        // MySQL marks a column whose default is an expression with DEFAULT_GENERATED; it is no generated column.
        public bool Has(string extra) => Extra.Replace("DEFAULT_GENERATED", "", StringComparison.OrdinalIgnoreCase)
            .Contains(extra, StringComparison.OrdinalIgnoreCase);
    }

    private sealed class About
    {
        public string? Engine { get; init; }

        public string? TableType { get; init; }

        public string? Transactions { get; init; }

        public string SqlMode { get; init; } = "";

        public long MaxPacket { get; init; }

        public long UniqueIndexes { get; init; }

        public long InsertTriggers { get; init; }

        public bool IsView => TableType is "VIEW" or "SYSTEM VIEW";
    }
}

/// <summary>The queries for the properties of the table on MySQL and MariaDB.</summary>
internal static class UserTableQueries
{
    public const string Columns = """
        SELECT c.COLUMN_NAME AS Name, LOWER(c.DATA_TYPE) AS Type, UPPER(c.COLUMN_TYPE) AS FullType,
            CAST(c.CHARACTER_MAXIMUM_LENGTH AS SIGNED) AS MaxLength, CAST(c.NUMERIC_SCALE AS SIGNED) AS Scale,
            c.IS_NULLABLE AS Nullable, c.COLUMN_DEFAULT AS `Default`, c.EXTRA AS Extra
        FROM information_schema.COLUMNS c
        WHERE c.TABLE_SCHEMA = DATABASE() AND c.TABLE_NAME = 'tb1'
        ORDER BY c.ORDINAL_POSITION
        """;

    public const string About = """
        SELECT t.ENGINE AS Engine, t.TABLE_TYPE AS TableType, e.TRANSACTIONS AS Transactions, @@sql_mode AS SqlMode,
            @@max_allowed_packet AS MaxPacket,
            (SELECT COUNT(*) FROM (
                SELECT s.INDEX_NAME FROM information_schema.STATISTICS s
                WHERE s.TABLE_SCHEMA = DATABASE() AND s.TABLE_NAME = 'tb1' AND s.NON_UNIQUE = 0
                GROUP BY s.INDEX_NAME HAVING COUNT(*) = 1 AND MAX(LOWER(s.COLUMN_NAME)) = 'id') u) AS UniqueIndexes,
            (SELECT COUNT(*) FROM information_schema.TRIGGERS g
                WHERE g.EVENT_OBJECT_SCHEMA = DATABASE() AND g.EVENT_OBJECT_TABLE = 'tb1'
                AND g.EVENT_MANIPULATION = 'INSERT' AND g.ACTION_TIMING = 'BEFORE') AS InsertTriggers
        FROM (SELECT 1) one
        LEFT JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = DATABASE() AND t.TABLE_NAME = 'tb1'
        LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
        """;

    // Each EXISTS reads one end of the index.
    public const string IdsOutside = """
        SELECT EXISTS (SELECT 1 FROM `tb1` WHERE `id` < 1)
            OR EXISTS (SELECT 1 FROM `tb1` WHERE `id` > 9223372036854775807)
        """;
}
