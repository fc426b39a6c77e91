"""A bridge with mautrix that encrypts (MSC4190): its bot writes, its ghost reads. Prints what happened as JSON."""

import asyncio
import json
import sys

from mautrix.api import Method, Path
from mautrix.client import Client
from mautrix.client.state_store import MemoryStateStore
from mautrix.crypto import OlmMachine
from mautrix.crypto.store import MemoryCryptoStore, StateStore
from mautrix.errors import MatrixRequestError
from mautrix.types import (
    EncryptionAlgorithm,
    EventType,
    LoginType,
    MessageType,
    RoomEncryptionStateEventContent,
    TextMessageEventContent,
)

ENCRYPTION = RoomEncryptionStateEventContent(algorithm=EncryptionAlgorithm.MEGOLM_V1)


class EveryRoom(StateStore):
    """There is one room, and it is encrypted."""

    async def is_encrypted(self, room_id):
        return True

    async def get_encryption_info(self, room_id):
        return ENCRYPTION

    async def find_shared_rooms(self, user_id):
        return []


class Puppet:
    """A user of the bridge with a device and keys of its own."""

    def __init__(self, homeserver, token, mxid):
        store = MemoryCryptoStore("", "pickle")
        self.client = Client(
            base_url=homeserver, mxid=mxid, token=token, sync_store=store, state_store=MemoryStateStore()
        )
        self.crypto = OlmMachine(self.client, store, EveryRoom())
        self.client.crypto = self.crypto

    async def begin(self, device_id):
        localpart = self.client.mxid[1:].split(":")[0]
        body = {"type": "m.login.application_service", "username": localpart, "inhibit_login": True}
        await self.client.api.request(Method.POST, Path.v3.register, body)
        await self.client.create_device_msc4190(device_id, "Bridge")
        await self.crypto.load()
        await self.crypto.share_keys()


async def story(homeserver, token, bot, ghost):
    told = {}
    old = Client(base_url=homeserver, mxid=bot, token=token)
    told["flows"] = (await old.get_login_flows()).supports_type(LoginType.APPSERVICE)
    try:
        await old.login(identifier=bot, login_type=LoginType.APPSERVICE)
    except MatrixRequestError as error:
        told["login"] = error.errcode
    await old.api.session.close()

    writer, reader = Puppet(homeserver, token, bot), Puppet(homeserver, token, ghost)
    await writer.begin("BRIDGEBOT")
    await reader.begin("BRIDGEGHOST")

    room = await writer.client.create_room(
        invitees=[ghost],
        initial_state=[{"type": "m.room.encryption", "state_key": "", "content": ENCRYPTION.serialize()}],
    )
    await reader.client.join_room(room)

    heard = asyncio.get_running_loop().create_future()

    async def hear(event):
        if event.room_id == room and not heard.done():
            heard.set_result((await reader.crypto.decrypt_megolm_event(event)).content.body)

    reader.client.add_event_handler(EventType.ROOM_ENCRYPTED, hear)
    syncing = reader.client.start(None)
    message = TextMessageEventContent(msgtype=MessageType.TEXT, body="hello from the bridge")
    await writer.crypto.share_group_session(room, [bot, ghost])
    sealed = await writer.crypto.encrypt_megolm_event(room, EventType.ROOM_MESSAGE, message)
    event = await writer.client.send_message_event(room, EventType.ROOM_ENCRYPTED, sealed, disable_encryption=True)
    told["heard"] = await asyncio.wait_for(heard, 20)
    told["stored"] = str((await writer.client.get_event(room, event)).type)
    devices = await writer.client.api.request(Method.GET, Path.v3.devices)
    told["devices"] = {device["device_id"]: device["display_name"] for device in devices["devices"]}
    reader.client.stop()
    syncing.cancel()
    for puppet in (writer, reader):
        await puppet.client.api.session.close()
    return told


arguments = json.loads(sys.argv[1])
print(json.dumps(asyncio.run(story(**arguments))))
