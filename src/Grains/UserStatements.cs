using System.Globalization;
using System.Text;
using Dapper;

namespace UPool.Grains;

/// <summary>The statements of <c>tb1</c>, one set for each dialect. Values are always parameters.</summary>
internal sealed class UserStatements
{
    // A server that is not strict stores a name that the column cannot hold as another one, and says so to nobody. Set
    // in the same round trip as the statement it is for, and gone with the reset after the rent: the pool's other users
    // find the server's own mode. The rest of the mode stays: the driver was told how to quote for it.
    private const string Strictly = "SET sql_mode = CONCAT_WS(',', NULLIF(@@sql_mode, ''), 'STRICT_ALL_TABLES'); ";

    private static readonly UserStatements MySql = new()
    {
        // As the table has it, for a trigger may have changed the name; as it was given when the row has gone again.
        Create = Strictly + "INSERT INTO `tb1` (`name`) VALUES (@name); SELECT CAST(LAST_INSERT_ID() AS SIGNED), "
            + "IFNULL((SELECT CAST(`name` AS CHAR) FROM `tb1` WHERE `id` = LAST_INSERT_ID()), @name)",
        // The ids of one INSERT of known size follow each other by the server's step, in every autoinc_lock_mode. The
        // names as the table has them.
        LastCreated = ConvertedColumns + "FROM `tb1` WHERE `id` >= LAST_INSERT_ID() "
            + "AND `id` <= LAST_INSERT_ID() + (@count - 1) * @@auto_increment_increment "
            + "AND (`id` - LAST_INSERT_ID()) % @@auto_increment_increment = 0 ORDER BY `id`",
        Rename = Strictly + "UPDATE `tb1` SET `name` = @name WHERE `id` = @id; " + GetOne,
        BeforeCreateAll = Strictly,
        GetToDelete = GetOne + " FOR UPDATE",
    };

    private static readonly UserStatements Sqlite = new()
    {
        Create = "INSERT INTO `tb1` (`name`) VALUES (@name) RETURNING `id`, `name`",
        // SQLite names the last id, and numbers a statement's rows one by one.
        LastCreated = Columns + "FROM `tb1` WHERE `id` > last_insert_rowid() - @count "
            + "AND `id` <= last_insert_rowid() ORDER BY `id`",
        Rename = "UPDATE `tb1` SET `name` = @name WHERE `id` = @id RETURNING `id`, `name`",
        // A transaction of SQLite's has the whole database to itself.
        GetToDelete = Columns + "FROM `tb1` WHERE `id` = @id",
    };

    public const string Delete = "DELETE FROM `tb1` WHERE `id` = @id";

    private const string Columns = "SELECT `id`, `name` ";
    private const string ConvertedColumns = "SELECT `id` + 0, CAST(`name` AS CHAR) ";
    private const string GetOne = ConvertedColumns + "FROM `tb1` WHERE `id` = @id";

    // What is asked most is fixed, so that its connections are back without a reset: this one, and Get. The bound keeps
    // out what a BIGINT UNSIGNED may hold and an id cannot be.
    public static readonly FixedSelect List = new(
        Columns + "FROM `tb1` WHERE `id` > @after AND `id` <= 9223372036854775807 ORDER BY `id` LIMIT @count");

    private UserStatements()
    {
    }

    /// <summary>Inserts a name and answers with the row.</summary>
    public required string Create { get; init; }

    /// <summary>Gives a user another name and answers with the row, if there is one.</summary>
    public required string Rename { get; init; }

    /// <summary>What an INSERT for several names begins with.</summary>
    private string BeforeCreateAll { get; init; } = "";

    /// <summary>The rows of the last INSERT of several, in their order.</summary>
    public required string LastCreated { get; init; }

    /// <summary>A user, held for the rest of the transaction.</summary>
    public required string GetToDelete { get; init; }

    /// <summary>Users by their ids.</summary>
    public static FixedSelect Get(int ids) => new(
        Columns + "FROM `tb1` WHERE `id` IN (" + string.Join(", ", Enumerable.Range(0, ids).Select(IdParameter)) + ")");

    /// <summary>
    /// The same read with its columns made a whole number and a text by the server, for columns of which the driver
    /// makes something else: of a CHAR(36) a Guid, of a TINYINT(1) a truth value, of a VARBINARY bytes. No fixed
    /// SELECT: its connection is reset after it.
    /// </summary>
    public static string Converted(FixedSelect select) => string.Concat(
        ConvertedColumns, select.Text.AsSpan(Columns.Length));

    /// <summary>The name of one of their parameters.</summary>
    public static string IdParameter(int index) => string.Create(CultureInfo.InvariantCulture, $"@id{index}");

    public static UserStatements For(SqlDialect dialect) => dialect switch
    {
        SqlDialect.MySql => MySql,
        SqlDialect.Sqlite => Sqlite,
        _ => throw new InvalidOperationException($"bug: no statements for the dialect {dialect}."),
    };

    /// <summary>One INSERT for several names.</summary>
    public (string Text, DynamicParameters Parameters) CreateAll(ReadOnlySpan<string> names)
    {
        var text = new StringBuilder(BeforeCreateAll).Append("INSERT INTO `tb1` (`name`) VALUES ");
        var parameters = new DynamicParameters();
        for (int index = 0; index < names.Length; index++)
        {
            string parameter = string.Create(CultureInfo.InvariantCulture, $"n{index}");
            text.Append(index == 0 ? "(@" : ", (@").Append(parameter).Append(')');
            parameters.Add(parameter, names[index]);
        }

        return (text.ToString(), parameters);
    }
}
