using System.Globalization;
using System.IO.Pipelines;
using System.Text.Encodings.Web;
using System.Text.Json;

using MySqlConnector;

namespace UPool.Bench.Handwritten;

/// <summary>
/// Rows are values in one list, so that the connection is returned before the reply is written; a reused writer writes
/// the reply into the response's own buffer. No row is an object, and there is no mapping, reflection or serializer.
/// </summary>
internal sealed class Users(MySqlDataSource database)
{
    private const string List = "SELECT `id`,`name` FROM `tb1` ORDER BY `id` LIMIT 10000";
    private const string Get = "SELECT `id`,`name` FROM `tb1` WHERE `id` = @id";

    private static readonly byte[] Root = "{\"code\":1,\"msg\":\"API is running\"}"u8.ToArray();
    private static readonly byte[] NotFound = "{\"code\":0,\"msg\":\"not found\"}"u8.ToArray();
    private static readonly byte[] BadId = "{\"code\":0,\"msg\":\"bad id\"}"u8.ToArray();
    private static readonly JsonEncodedText Code = JsonEncodedText.Encode("code");
    private static readonly JsonEncodedText Message = JsonEncodedText.Encode("msg");
    private static readonly JsonEncodedText Ok = JsonEncodedText.Encode("ok");
    private static readonly JsonEncodedText Data = JsonEncodedText.Encode("data");
    private static readonly JsonEncodedText Id = JsonEncodedText.Encode("id");
    private static readonly JsonEncodedText Name = JsonEncodedText.Encode("name");

    private static readonly JsonWriterOptions WriterOptions = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        SkipValidation = true,
    };

    // One per thread, never kept across an await.
    [ThreadStatic]
    private static Utf8JsonWriter? _writer;

    public static Task RootAsync(HttpContext context) =>
        WriteAsync(context, StatusCodes.Status200OK, Root);

    public async Task ListAsync(HttpContext context)
    {
        CancellationToken token = context.RequestAborted;
        var users = new List<User>(128);
        await using (MySqlConnection connection = await database.OpenConnectionAsync(token))
        {
            await using var command = new MySqlCommand(List, connection);
            await using MySqlDataReader reader = await command.ExecuteReaderAsync(token);
            while (await reader.ReadAsync(token)) users.Add(new User(reader.GetInt64(0), reader.GetString(1)));
        }

        // Another request may already use the connection while the reply is written.
        await WriteAsync(context, users, static (json, users) =>
        {
            json.WriteStartArray(Data);
            foreach (User user in users) Write(json, user);
            json.WriteEndArray();
        });
    }

    public async Task GetAsync(HttpContext context)
    {
        CancellationToken token = context.RequestAborted;
        if (!long.TryParse(
            (string?)context.Request.RouteValues["id"], NumberStyles.None, CultureInfo.InvariantCulture, out long id))
        {
            await WriteAsync(context, StatusCodes.Status400BadRequest, BadId);
            return;
        }

        User? user = null;
        await using (MySqlConnection connection = await database.OpenConnectionAsync(token))
        {
            await using var command = new MySqlCommand(Get, connection);
            command.Parameters.Add(new MySqlParameter("@id", MySqlDbType.Int64) { Value = id });
            await using MySqlDataReader reader = await command.ExecuteReaderAsync(token);
            if (await reader.ReadAsync(token)) user = new User(reader.GetInt64(0), reader.GetString(1));
        }

        if (user is { } found)
        {
            await WriteAsync(context, found, static (json, user) =>
            {
                json.WritePropertyName(Data);
                Write(json, user);
            });
        }
        else
        {
            await WriteAsync(context, StatusCodes.Status404NotFound, NotFound);
        }
    }

    private static void Write(Utf8JsonWriter json, User user)
    {
        json.WriteStartObject();
        json.WriteNumber(Id, user.Id);
        json.WriteString(Name, user.Name);
        json.WriteEndObject();
    }

    private static async Task WriteAsync<T>(HttpContext context, T data, Action<Utf8JsonWriter, T> write)
    {
        HttpResponse response = context.Response;
        response.ContentType = "application/json; charset=utf-8";

        // Into the response's own buffer; the length is known before the first byte is sent.
        PipeWriter output = response.BodyWriter;
        Utf8JsonWriter json = _writer ??= new Utf8JsonWriter(output, WriterOptions);
        json.Reset(output);
        json.WriteStartObject();
        json.WriteNumber(Code, 1);
        json.WriteString(Message, Ok);
        write(json, data);
        json.WriteEndObject();
        json.Flush();
        response.ContentLength = json.BytesCommitted;
        await output.FlushAsync(context.RequestAborted);
    }

    private static Task WriteAsync(HttpContext context, int status, byte[] body)
    {
        HttpResponse response = context.Response;
        response.StatusCode = status;
        response.ContentType = "application/json; charset=utf-8";
        response.ContentLength = body.Length;
        return response.Body.WriteAsync(body, 0, body.Length, context.RequestAborted);
    }

    private readonly record struct User(long Id, string Name);
}
