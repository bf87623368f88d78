using System.Buffers;
using System.Buffers.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using UPool.Grains;
using UPool.Management;

namespace UPool.Api.Users;

/// <summary>A user, in the envelope.</summary>
internal sealed record UserReply(int Code, string Msg, User Data)
{
    private static readonly JsonEncodedText CodeKey = JsonEncodedText.Encode("code");
    private static readonly JsonEncodedText MsgKey = JsonEncodedText.Encode("msg");
    private static readonly JsonEncodedText Ok = JsonEncodedText.Encode("ok");
    private static readonly JsonEncodedText DataKey = JsonEncodedText.Encode("data");
    private static readonly JsonEncodedText IdKey = JsonEncodedText.Encode("id");
    private static readonly JsonEncodedText NameKey = JsonEncodedText.Encode("name");

    /// <summary>Writes a reply by hand: for so few fields the serializer's overhead exceeds the writing.</summary>
    public static void Write(Utf8JsonWriter json, User user)
    {
        json.WriteStartObject();
        json.WriteNumber(CodeKey, 1);
        json.WriteString(MsgKey, Ok);
        json.WriteStartObject(DataKey);
        json.WriteNumber(IdKey, user.Id);
        json.WriteString(NameKey, user.Name);
        json.WriteEndObject();
        json.WriteEndObject();
    }
}

/// <summary>Users, in the envelope.</summary>
internal sealed record UsersReply(int Code, string Msg, User[] Data);

/// <summary>A page of users, in the envelope; <c>next</c> is present if more rows exist.</summary>
internal sealed record UserPageReply(int Code, string Msg, User[] Data, long? Next)
{
    // The longest number has 19 digits.
    private const int MaxDigits = 20;

    private static ReadOnlySpan<byte> BeforeRows => "{\"code\":1,\"msg\":\"ok\",\"data\":"u8;

    private static ReadOnlySpan<byte> BeforeNext => ",\"next\":"u8;

    private static ReadOnlySpan<byte> End => "}"u8;

    /// <summary>The number of bytes that <see cref="Write"/> writes.</summary>
    public static long LengthOf(UserPage page)
    {
        long length = BeforeRows.Length + page.Json.Length + End.Length;
        if (page.Next is { } next) length += BeforeNext.Length + Format(next, stackalloc byte[MaxDigits]).Length;
        return length;
    }

    /// <summary>Writes a reply around rows that are already JSON.</summary>
    public static void Write(IBufferWriter<byte> output, UserPage page)
    {
        output.Write(BeforeRows);
        output.Write(page.Json.Span);
        if (page.Next is { } next)
        {
            output.Write(BeforeNext);
            output.Write(Format(next, stackalloc byte[MaxDigits]));
        }

        output.Write(End);
    }

    private static ReadOnlySpan<byte> Format(long number, Span<byte> digits)
    {
        Utf8Formatter.TryFormat(number, digits, out int length);
        return digits[..length];
    }
}

/// <summary>The body of a create or rename, for the OpenAPI document; <see cref="UserBody"/> reads it.</summary>
internal sealed record NewUser(string Name);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(Envelope))]
[JsonSerializable(typeof(UserReply))]
[JsonSerializable(typeof(UsersReply))]
[JsonSerializable(typeof(UserPageReply))]
[JsonSerializable(typeof(NewUser))]
[JsonSerializable(typeof(NewUser[]))]
internal sealed partial class UserJson : JsonSerializerContext;
